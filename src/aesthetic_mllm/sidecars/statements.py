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
        return children[0].tag.removeprefix(RDF), [_value(item) for item in children[0]]
    if len(children) == 1 and children[0].tag == f"{RDF}Description":
        return _fields(children[0])
    fields = _fields(element)
    if fields or element.get(f"{RDF}parseType") == "Resource":
        return fields
    return element.get(f"{RDF}resource", element.text or "")
