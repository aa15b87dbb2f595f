# SPDX-License-Identifier: MIT
"""Nsight Compute's CSV is read with its units, and what it lacks is said."""

from frontdoor.ncu import DRAM, ISSUE, limit, read_csv, read_source, section, table

PAGE = """==PROF== Connected to process 1
"ID","Kernel Name","dram__bytes_read.sum","dram__bytes_write.sum",REGISTERS,SHARED
"","","Mbyte","Kbyte","register/thread","Kbyte/block"
"0","void unnamed>::forward<1>(unnamed>::Shape, const float *)","1.5","500","64","14.75"
"1","backward(float)","2,000","1,000","96","0"
""".replace("REGISTERS", '"launch__registers_per_thread"').replace("SHARED", '"launch__shared_mem_per_block"')


def test_units_and_thousands():
    kernels = read_csv(PAGE)
    assert [k["name"] for k in kernels] == ["forward<1>", "backward"]
    assert kernels[0]["dram__bytes_read.sum"] == 1.5e6 and kernels[0]["dram__bytes_write.sum"] == 5e5
    assert kernels[0]["launch__shared_mem_per_block"] == 14750
    assert kernels[1]["dram__bytes_read.sum"] == 2e9 and kernels[1]["launch__registers_per_thread"] == 96


def test_table():
    text = table(read_csv(PAGE), 1_000_000)
    assert "DRAM read                         1.5 B/element" in text
    assert "not reported" in text
    assert "all 2 launches: 2e+03" in text


def test_nothing_in_it():
    assert read_csv("==ERROR== no kernels were profiled\n") == []


def test_limit_by_latency_and_when_nothing_is_reported():
    kernel = {"name": "f", "stalls": {"barrier": 3.0, "wait": 1.0}, ISSUE: 40.0, DRAM: 55.0}
    text = limit([kernel])
    assert "limited by latency" in text and "DRAM bandwidth, 55 %" in text and "barrier (75 %" in text
    assert "cannot be said" in limit([{"name": "f", "stalls": {}}])
    assert "limited by DRAM bandwidth, 91 %" in limit([{**kernel, DRAM: 91.0}])


def test_the_longest_launch_decides():
    short = {"name": "a", "stalls": {}, ISSUE: 99.0, "gpu__time_duration.sum": 1e-6}
    long = {"name": "b", "stalls": {}, ISSUE: 80.0, "gpu__time_duration.sum": 1e-3}
    assert limit([short, long]).startswith("`b`")


def test_source_lines_of_all_kernels_are_added_up():
    text = '"#","Source","# Samples"\n"1","a","10"\n"2","b","1"\n"#","Source","# Samples"\n"1","a","5"\n'
    assert read_source(text) == [("a", 15 / 16), ("b", 1 / 16)]
    assert read_source("==ERROR== unknown page\n") == []


def test_many_launches_show_the_longest():
    kernels = [{"name": f"k{n}", "stalls": {}, "gpu__time_duration.sum": n * 1e-6} for n in range(40)]
    page = section("composed, train", "Commit 0123456.", "ncu ...", kernels, 100, {"dram_bytes": 500.0}, [])
    assert "The 4 longest of 40 launches." in page and "`k39`" in page and "`k1`" not in page
    assert "by the row's cost model 5." in page and "\n\nCommit 0123456. What limits `k39`" in page
