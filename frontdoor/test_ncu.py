# SPDX-License-Identifier: MIT
"""Nsight Compute's CSV is read with its units, and what it lacks is said."""

from frontdoor.ncu import DRAM, ISSUE, limit, read_csv, section, table
from frontdoor.place import ROOT
from frontdoor.profile_lines import best, read

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


COLUMNS = (
    '"Line No","Source","Address","Source","Warp Stall Sampling (All Samples)",'
    '"Warp Stall Sampling (Not-issued Samples)","# Samples"'
)
BOTH = f"""==PROF== Connected to process 1
"File Path","{ROOT}/kernels/cuda/stream.cu"
"Function Name","forward<1>(Shape)"
{COLUMNS}
"41","  sum += a * ""b"";","-","-","1,030","9","1,030"
"","","0x7f0010","      FFMA R1, R2, R3, R1","1,000","8","1,000"
"","","0x7f0020","      FADD R1, R2, R3","30","1","30"
"42","","...","","-","-","-"
"File Path","/usr/include/other.h"
{COLUMNS}
"7","","-","-","270","0","270"
"","","0x7f0030","      LDG.E R4, [R2]","250","0","250"
"","","0x7f0040","      MOV R1, R3","20","0","20"
"File Path","{ROOT}/kernels/cuda/stream.cu"
"Function Name","forward<0>(Shape)"
{COLUMNS}
"41","  sum += a * ""b"";","-","-","700","9","700"
"","","0x7f1010","      FFMA R1, R2, R3, R1","700","8","700"
"""


def test_lines_and_instructions_side_by_side():
    """A line's samples are those of its instructions, counted once; all kernels are added up; where the file was not
    found the instruction with most samples stands for the line's text."""
    line, other = read(BOTH)
    assert line == ('kernels/cuda/stream.cu:41: sum += a * "b";', 1730 / 2000)
    assert other == ("other.h:7: LDG.E R4, [R2]", 270 / 2000)


def test_lines_alone():
    text = '"#","Source","# Samples"\n"1","a","10"\n"2","b","1"\n"3","lone \"",""\n'
    text += '"#","Source","# Samples"\n"1","a","5"\n'
    assert read(text) == [("line 1: a", 15 / 16), ("line 2: b", 1 / 16)]
    assert read(f'"File Path","/x/f.cu"\n{text}')[0][0] == "f.cu:1: a"


def test_instructions_alone():
    text = """"Kernel Name","void <unnamed>::forward<1>(Shape)"
"#","Address","Source","Warp Stall Sampling (All Cycles)"
"0","0x10","      LDG.E R4, [R2]","3"
"1","0x20","      FFMA R1, R2, R3, R1","1"
"""
    assert read(text) == [("forward<1>: LDG.E R4, [R2]", 0.75), ("forward<1>: FFMA R1, R2, R3, R1", 0.25)]


def test_the_first_view_that_has_samples():
    lines = '"Line No","Source","# Samples"\n"1","a","10"\n'
    assert best({"cuda,sass": "==ERROR== bad view\n", "cuda": lines}.__getitem__) == ([("line 1: a", 1.0)], "")
    nothing = {"cuda,sass": "==ERROR== bad view\n", "cuda": '"Line No","Source","Live Registers"\n"1","a","10"\n',
               "sass": '"Address","Source","# Samples"\n"0x1","NOP","0"\n'}  # fmt: skip
    found, why = best(nothing.__getitem__)
    assert found == [] and why.split("; ") == [
        "view cuda,sass: it says: ==ERROR== bad view",
        "view cuda: no column of stall samples",
        "view sass: no samples in it",
    ]
    assert best(lambda view: "")[1].endswith("view sass: it is empty")


def test_no_lines_are_said():
    kernels = read_csv(PAGE)
    assert "no lines with stall samples: it is empty" in table(kernels, 100, no_lines="it is empty")
    page = section("tiled, train", "Commit 0123456.", "ncu ...", kernels, 100, None, [], "it is empty")
    assert "\nNo lines with stall samples: it is empty.\n" in page
    page = section("tiled, train", "Commit 0123456.", "ncu ...", kernels, 100, None, [("f.cu:1: a", 1.0)])
    assert "Lines with most stall samples:\n\n* 100 %: `f.cu:1: a`" in page and "No lines" not in page


def test_many_launches_show_the_longest():
    kernels = [{"name": f"k{n}", "stalls": {}, "gpu__time_duration.sum": n * 1e-6} for n in range(40)]
    page = section("composed, train", "Commit 0123456.", "ncu ...", kernels, 100, {"dram_bytes": 500.0}, [])
    assert "The 4 longest of 40 launches." in page and "`k39`" in page and "`k1`" not in page
    assert "by the row's cost model 5." in page and "\n\nCommit 0123456. What limits `k39`" in page
