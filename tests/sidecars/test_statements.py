"""What packets mean, in whatever way they are written."""

import pytest

from aesthetic_mllm.sidecars import SidecarError
from aesthetic_mllm.sidecars.statements import statements

FRAME = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    ' xmlns:a="http://a/">{}</rdf:RDF></x:xmpmeta>'
)


def meaning(body: str) -> dict[str, object]:
    return statements(FRAME.format(body).encode())


def test_spellings_of_one_statement_mean_the_same() -> None:
    """Attributes or elements, one description or two, a structure written in three ways."""
    short = '<rdf:Description rdf:about="" a:b="1" a:c="2"><a:s a:x="3"/></rdf:Description>'
    long = (
        '<rdf:Description rdf:about=""><a:b>1</a:b></rdf:Description><rdf:Description><a:c>2</a:c>'
        '<a:s rdf:parseType="Resource"><a:x>3</a:x></a:s></rdf:Description>'
    )
    nested = '<rdf:Description a:c="2" a:b="1"><a:s><rdf:Description><a:x>3</a:x></rdf:Description></a:s></rdf:Description>'
    assert meaning(short) == meaning(long) == meaning(nested)
    assert meaning(short) == {"{http://a/}b": "1", "{http://a/}c": "2", "{http://a/}s": {"{http://a/}x": "3"}}


@pytest.mark.parametrize(
    "other",
    [
        '<a:l><rdf:Seq><rdf:li>2</rdf:li><rdf:li>1</rdf:li></rdf:Seq></a:l>',
        '<a:l><rdf:Bag><rdf:li>1</rdf:li><rdf:li>2</rdf:li></rdf:Bag></a:l>',
        '<a:l><rdf:Seq><rdf:li>1</rdf:li><rdf:li xml:lang="de">2</rdf:li></rdf:Seq></a:l>',
        '<a:l><rdf:Seq/></a:l>',
        '<a:l/>',
    ],
)  # fmt: skip
def test_order_kind_and_language_of_arrays_count(other: str) -> None:
    listed = '<a:l><rdf:Seq><rdf:li>1</rdf:li><rdf:li>2</rdf:li></rdf:Seq></a:l>'  # fmt: skip
    assert meaning(f"<rdf:Description>{listed}</rdf:Description>") != meaning(f"<rdf:Description>{other}</rdf:Description>")


@pytest.mark.parametrize("broken", [b"", b"<x", FRAME.encode()[:-20], b"<html/>"])
def test_what_is_no_xmp_is_an_error(broken: bytes) -> None:
    with pytest.raises(SidecarError, match="is no"):
        statements(broken)
