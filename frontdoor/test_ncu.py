# SPDX-License-Identifier: MIT
"""Nsight Compute's CSV is read with its units, and what it lacks is said."""

from frontdoor.ncu import read_csv, table

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
