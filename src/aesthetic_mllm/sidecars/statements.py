"""What an XMP packet says, whatever way it is written down.

RDF allows many spellings of one statement: attribute or element, `rdf:parseType` or a nested description, any prefixes, any
order. Two packets mean the same where [`statements`] are equal. It is how we know that nothing of a sidecar was lost.
"""

from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from .names import SidecarError

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
XML = "{http://www.w3.org/XML/1998/namespace}"
DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
_ARRAYS = (f"{RDF}Bag", f"{RDF}Seq", f"{RDF}Alt")

# Text, ("Seq", items), a structure by field, or one of them with its language.
Value = Any


def statements(packet: bytes) -> dict[str, Value]:
    """Values by property, as "{namespace}name"; empty for a packet without any.

    Raises:
        SidecarError: the packet is no XML, or no XMP.
    """
    try:
        root = ElementTree.fromstring(packet)
    except (ElementTree.ParseError, ValueError) as error:
        raise SidecarError(f"is no valid XML ({error})") from error
    rdf = root if root.tag == f"{RDF}RDF" else root.find(f"{RDF}RDF")
    if rdf is None:
        raise SidecarError("is no XMP: it has no element rdf:RDF")
    said: dict[str, Value] = {}
    for description in rdf:
        said |= _fields(description)
    return said


def texts(value: Value) -> list[Value]:
    """The values in an array of any kind, or the one that is in none, without empty ones and without the default's language."""
    if isinstance(value, tuple) and value[0] != "language":
        return [text for item in value[1] for text in texts(item)]
    if isinstance(value, tuple) and value[1] == "x-default":
        return texts(value[2])
    return [value] if value else []


def _fields(element: Element) -> dict[str, Value]:
    """Properties of a description, or fields of a structure."""
    attributes = {name: text for name, text in element.attrib.items() if not name.startswith((RDF, XML))}
    return attributes | {child.tag: _value(child) for child in element}


def _value(element: Element) -> Value:
    value = _plain_value(element)
    language = element.get(f"{XML}lang")
    return value if language is None else ("language", language, value)


def _plain_value(element: Element) -> Value:
    children = list(element)
    if len(children) == 1 and children[0].tag in _ARRAYS:
        items = [_value(item) for item in children[0]]
        if items and all(isinstance(item, tuple) and item[0] == "language" for item in items):
            items.sort(key=lambda item: item[1])  # alternatives by language have no order, but for the default
        return children[0].tag.removeprefix(RDF), items
    if len(children) == 1 and children[0].tag == f"{RDF}Description":
        return _fields(children[0])
    fields = _fields(element)
    if fields or element.get(f"{RDF}parseType") == "Resource":
        return fields
    return element.get(f"{RDF}resource", element.text or "")
