"""XMP sidecars: ratings, flags and tags where photo programs read them. Photos themselves are never written."""

from .names import STYLES, SharedSidecarError, SidecarError, mirrored_root, named_folders, sidecar_path
from .packet import Marks
from .stars import Borders, label_of, marks_of
from .writing import SidecarWriter, Written, check_xmp_extra

__all__ = [
    "STYLES",
    "Borders",
    "Marks",
    "SharedSidecarError",
    "SidecarError",
    "SidecarWriter",
    "Written",
    "check_xmp_extra",
    "label_of",
    "marks_of",
    "mirrored_root",
    "named_folders",
    "sidecar_path",
]
