"""Class attributes as spreadsheets and programs save them: read right, or refused in one line."""

import gzip
import io
import re
import zipfile

import pandas as pd
import pytest

from tests.made_up.damage import message_of
from zslpipe.datasets.reading.attributes import read_class_attributes
from zslpipe.machine.errors import InputError

CLASSES = {"Café": [1.5, 2.0], "thing 2": [0.25, 3.0]}
PLAIN = "class,size,red hat\nCafé,1.5,2\nthing 2,0.25,3\n"
COMMAS = "class;size;red hat\nCafé;1,5;2\nthing 2;0,25;3\n"
FRAME = pd.DataFrame(
    {"class": list(CLASSES), "size": [1.5, 0.25], "red hat": [2.0, 3.0]},
)
# The same table in files of many programs.
READ = {
    "plain": PLAIN.encode(),
    "with a byte-order mark": PLAIN.encode("utf-8-sig"),
    "semicolons and decimal commas": COMMAS.encode(),
    "semicolons and decimal points": COMMAS.replace(",", ".").encode(),
    "semicolons, Windows-1252": COMMAS.encode("cp1252"),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "tabs and decimal commas": COMMAS.replace(";", "\t").encode(),
    "bars": PLAIN.replace(",", "|").encode(),
    "UTF-16 with tabs, as Excel saves Unicode text": PLAIN.replace(",", "\t").encode("utf-16"),
    "UTF-16 without a mark": PLAIN.encode("utf-16-le"),
    "UTF-16 of the other byte order": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "line ends of Windows": PLAIN.replace("\n", "\r\n").encode(),
    "line ends of old Macs": PLAIN.replace("\n", "\r").encode(),
    "the line by which Excel tells itself the separator": ("sep=;\r\n" + COMMAS).encode(),
    "empty rows": PLAIN.replace("\n", "\n,,\n\n").encode(),
    "an empty column at the end": PLAIN.replace("\n", ",\n").encode(),
    "an empty column in the middle": "class,size,,red hat\nCafé,1.5,,2\nthing 2,0.25,,3\n".encode(),
    "empty cells behind the header": PLAIN.replace("2\nt", "2,,\nt").encode(),
    "quotes": '"class","size","red hat"\n"Café","1.5","2"\n"thing 2","0.25","3"\n'.encode(),
    "decimal commas in quotes": 'class,size,red hat\nCafé,"1,5",2\nthing 2,"0,25",3\n'.encode(),
    "spaces around": "class , size , red hat\n Café , 1.5 , 2\nthing 2 , 0.25, 3\n".encode(),
    "pandas with its index": FRAME.to_csv().encode(),
    "pandas with its index, semicolons": FRAME.to_csv(sep=";", decimal=",").encode(),
    "pandas without": FRAME.to_csv(index=False).encode(),
    "pandas with classes as index": FRAME.set_index("class").rename_axis(None).to_csv().encode(),
    "line ends in the header's cells": PLAIN.replace("red hat", '"red\n hat"').encode(),
    "R with row names that have no header": b'"class","size","red hat"\n'
    + b'"1","Caf\xc3\xa9",1.5,2\n"2","thing 2",0.25,3\n',
    "R with row names from 1": b'"","class","size","red hat"\n'
    + "\n".join(
        f'"{row}","{name}",{size},{hat}'
        for row, (name, (size, hat)) in enumerate(CLASSES.items(), 1)
    ).encode(),
}


@pytest.mark.parametrize("case", READ)
def test_the_same_table_in_many_files(tmp_path, case):
    (tmp_path / "table.csv").write_bytes(READ[case])
    table, words, _ = read_class_attributes(tmp_path / "table.csv")
    assert (table, words) == (CLASSES, ("size", "red hat"))


def test_what_was_left_out_or_decided_is_noted(tmp_path):
    rows = ";class;size;;red hat\n0;Café;1,5;;2\n1;thing 2;0,25;;3\n"
    (tmp_path / "table.csv").write_text(rows)
    table, _, notes = read_class_attributes(tmp_path / "table.csv")
    assert table == CLASSES
    assert notes == (
        "table.csv: 1 empty columns left out",
        "table.csv: the first column counts the rows and is left out",
        "table.csv: read with decimal commas",
    )


def test_numbers_as_names_of_attributes(tmp_path):
    (tmp_path / "table.csv").write_text("class,0,1\na,1,2\n")
    assert read_class_attributes(tmp_path / "table.csv")[:2] == ({"a": [1.0, 2.0]}, ("0", "1"))


def workbook() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    return data.getvalue()


HEAD = "class,size,hat\n"
REFUSED = {
    "an Excel workbook": (workbook(), r"an Excel workbook \(.xlsx\), not a text file; save it as"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(600), r"old Excel workbook \(.xls\)"),
    "gzip": (gzip.compress(PLAIN.encode()), "compressed by gzip, not a text file"),
    "a web page": (b"\n <!DOCTYPE html><html>", "a web page or XML"),
    "a pointer of git-lfs": (b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
    "zeros": (bytes(301), "not a readable text file"),
    "bytes of no encoding": (b"class,\x81\x8d\n", "neither UTF-8, UTF-16 nor Windows-1252"),
    "nothing": (b"\n\n", "the file is empty"),
    "no header": ("a,1,2\nb,3,4\n", r"numbers for names \(1, 2\), no header; the first line has"),
    "no header, decimal commas": ("a;1,5;2\nb;3;4\n", r"numbers for names \(1,5, 2\), no header"),
    "one column": ("class\na\n", "one column; .* separate columns by commas, semicolons or tabs"),
    "spaces between": ("class size hat\na 1 2\n", "one column; .* commas, semicolons or tabs"),
    "a header alone": (HEAD, "a header and no rows"),
    "attribute twice": ("class,size,hat,size\na,1,2,3\n", "attributes given twice: size"),
    "class twice": (HEAD + "a,1,2\na,1,2\n", "class 'a' is given twice"),
    "attribute twice, in two cases": ("class,size,Size\na,1,2\n", "given twice: Size, size"),
    "a title above": ("Things,,\n" + HEAD + "a,1,2\n", r"line \(Things\) is no header; take it"),
    "a comment above": ("# R\n" + HEAD + "a,1,2\n", r"line \(# R\) is no header; take it out"),
    "a comment above semicolons": ("# R\nclass;size\na;1,5\n", r"\(# R\) is no header; take it"),
    "classes at the end": ("size,hat,class\n1,2,a\n", "'class' holds no number .first 'a'.; the f"),
    "a key before the class": ("id,class,size\nn01,a,1\n", "'class' holds no number .first 'a'.;"),
    "words for numbers": (HEAD + "a,1,yes\nb,2,no\n", "'hat' holds no number .*1 and 0 for yes"),
    "no name for the classes": ("size,hat\na,1,2\nb,3,4\n", "to name every column, that of the"),
    "a typographic minus": (HEAD + "a,\u22121.5,2\n", "begins with a typographic minus"),
    "a text of a word processor": (b"{\\rtf1\\ansi class,size}", "a text of a word processor"),
    "a column without a name": ("class,size,,hat\na,1,2,3\n", "column 3 has values and no name"),
    "a row without a class": (HEAD + ",1,2\nb,1,2\n", "a row without a class: 1,2"),
    "row too short": (HEAD + "a,1\nb,1,2\n", "class 'a' has 1 values for 2 attributes"),
    "row too long": (HEAD + "a,1,2,3\nb,1,2\n", "class 'a' has 3 values for 2 attributes"),
    "decimal commas between commas": (HEAD + "a,1,5,2,5\n", "4 values .*write decimals with a poi"),
    "thousands": (HEAD + 'a,"1,500",2\n', "1,500 may be a decimal or thousands; write decimals"),
    "thousands and decimals": (HEAD + 'a,"1,500.5",2\n', "'1,500.5' has separators of thousands"),
    "thousands with points": ("class;size;hat\na;1.500,5;2\n", "separators of thousands"),
    "Swiss thousands": (HEAD + "a,1'500,2\n", "'size': \"1'500\" has separators of thousands"),
    "both marks": ("class;size;hat\na;1,5;2.5\n", "1,5 and 2.5 have different decimal marks"),
    "percent": (HEAD + "a,50%,2\n", "'50%' is a percentage, .* write it without the sign"),
    "NA": (HEAD + "a,NA,2\n", "class 'a', attribute 'size': 'NA' is no value .* fill it in, or le"),
    "a question mark": (HEAD + "a,1,?\n", "attribute 'hat': '[?]' is no value"),
    "an empty cell": (HEAD + "a,,2\n", "attribute 'size': '' is no value"),
    "infinity": (HEAD + "a,inf,2\n", "'inf' is no finite number"),
    "an underscore": (HEAD + "a,1_000,2\n", "'1_000' is no finite number"),
    "a quote open over more than a cell holds": (
        HEAD + 'a,"' + "1,2\n" * 50_000,
        "a quote that is not closed.* save it as CSV again",
    ),
    "an open quote": (
        HEAD + 'a,"1,2\nb,1,2\n',
        "a quote that is not closed.* save it as CSV again",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(tmp_path, case):
    data, expected = REFUSED[case]
    path = tmp_path / "table.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    text = message_of(lambda: read_class_attributes(path))
    assert text.startswith(str(path))
    assert re.search(expected, text), text


def test_absent_file(tmp_path):
    with pytest.raises(InputError, match=r"none.csv: not a readable text file \(No such file"):
        read_class_attributes(tmp_path / "none.csv")
