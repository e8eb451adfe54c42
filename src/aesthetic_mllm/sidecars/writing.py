"""Sidecars on disk: found, merged, and written in one step."""

import os
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .names import STYLES, SharedSidecarError, SidecarError, mirrored_root, sidecar_path, sidecars_like
from .packet import Given, Marks, given_in, given_in_photo, merge


@dataclass(frozen=True)
class Written:
    """What became of a photo's sidecar.

    Args:
        path: the sidecar.
        changed: whether it was written; one that says all this already is left as it is.
        existed: whether there was one before, which the marks were merged into.
        kept_rating, kept_pick: whether one that a person gave was kept in place of ours.
    """

    path: Path
    changed: bool
    existed: bool
    kept_rating: bool
    kept_pick: bool


@dataclass
class SidecarWriter:
    """Writes marks of photos into their sidecars, and never into a photo.

    Args:
        style: `"adobe"` (photo.xmp) or `"darktable"` (photo.jpg.xmp).
        folder: a folder of their own, for libraries that are read-only; the photos' tree is mirrored in it.
        root: the folder above all photos whose tree that is; default for each photo its [`mirrored_root`].
        overwrite: whether to replace ratings and flags that a person gave.
        named: the folders among which these are looked for.
    """

    style: str = "darktable"
    folder: Path | None = None
    root: Path | None = None
    overwrite: bool = False
    named: Collection[Path] = ()
    _taken: dict[Path, Path] = field(default_factory=dict, init=False, repr=False)

    def place(self, photo: Path) -> Path:
        """Where the photo's sidecar is to be.

        Raises:
            SidecarError: the photo does not lie below `root`.
        """
        if self.folder is None:
            return sidecar_path(photo, self.style)
        return sidecar_path(photo, self.style, self.folder, self.root or mirrored_root(photo, self.named))

    def check_folder(self) -> None:
        """Raises a `SidecarError` where the folder for sidecars cannot be written to; it is not made yet."""
        if self.folder is None:
            return
        folder = Path(os.path.abspath(self.folder))
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        if not (os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)):
            wrong = "may not be written to" if os.path.isdir(there) else "is no folder"
            raise SidecarError(f"Sidecars cannot be written into {self.folder}: {there} {wrong}; choose another --xmp-folder.")

    def check(self, photos: Iterable[Path]) -> None:
        """Raises a `SidecarError` where a photo has no place below `root`, or photos of two folders have the same one."""
        taken: dict[Path, Path] = {}
        for photo in photos if self.folder is not None else ():
            target = self.place(photo)
            if _folder(other := taken.setdefault(target, photo)) != _folder(photo):
                raise _shared(target, other, photo)

    def write(self, photo: Path, marks: Marks) -> Written:
        """Merges marks into the photo's sidecar, or makes one. A photo's rating is kept wherever somebody else gave it: in the
        sidecar, in a sidecar of the other name, or in the photo itself. So is a flag.

        Raises:
            SidecarError: the sidecar cannot be read, merged or written, or another photo of this run has it too. It is left as
                it was.
        """
        target = self.place(photo)
        if _whole(other := self._taken.setdefault(_whole(target), photo)) != _whole(photo):
            raise _shared(target, other, photo)
        there, beside = sidecars_like(target), sidecars_like(sidecar_path(photo, self.style))
        target = there[0] if there else target
        source = target if there or not beside else beside[0]
        try:
            data = source.read_bytes() if there or beside else None
        except OSError as error:
            raise SidecarError(f"The sidecar {source} cannot be read ({error.strerror}).") from error
        try:
            merged = merge(data, marks, overwrite=self.overwrite, elsewhere=self._elsewhere(photo, source))
        except SidecarError as error:
            raise SidecarError(f"The sidecar {source} {error}; it is left as it is.") from error
        changed = merged.changed or (data is not None and source != target)
        if changed:
            _replace(target, merged.packet)
        return Written(target, changed, data is not None, merged.kept_rating, merged.kept_pick)

    def _elsewhere(self, photo: Path, read: Path) -> Given:
        """What somebody else said in other sidecars of the photo or in the photo, first found."""
        given = Given()
        if self.overwrite:
            return given
        for path in (path for style in STYLES for path in sidecars_like(sidecar_path(photo, style))):
            if path == read:
                continue
            try:
                given |= given_in(path.read_bytes())
            except (OSError, SidecarError):  # it is not ours to judge
                continue
        return given | given_in_photo(photo)


def check_xmp_extra() -> None:
    """Raises a `SidecarError` where the extra `xmp` is missing; before anything long has begun."""
    merge(None, Marks())


def _whole(path: Path) -> Path:
    """A path of which there is one spelling."""
    return Path(os.path.abspath(path))


def _folder(photo: Path) -> str:
    return os.path.dirname(os.path.abspath(photo))


def _shared(target: Path, other: Path, photo: Path) -> SidecarError:
    """What is wrong where a sidecar would be that of two photos."""
    folders = _folder(other), _folder(photo)
    if folders[0] == folders[1]:
        return SharedSidecarError(f"The sidecar {target} is that of {other}; the style darktable gives {photo} one of its own.")
    above = os.path.commonpath(folders)
    return SidecarError(f"{other} and {photo} would both have the sidecar {target}; --xmp-root {above} keeps them apart.")


def _replace(path: Path, packet: bytes) -> None:
    """The whole new file in place of the old one, at once."""
    real = Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not real.parent.is_dir():  # folders are made where the user said, not where a link leads
            raise SidecarError(f"The sidecar {path} is a link to {real}, whose folder does not exist; remove the link.")
        mode = real.stat().st_mode if real.exists() else 0o666 & ~_umask()
        with tempfile.NamedTemporaryFile(dir=real.parent, prefix=".xmp", suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(packet)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(temporary, mode)
                os.replace(temporary, real)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise SidecarError(
            f"The sidecar {path} cannot be written ({error.strerror}); --xmp-folder writes into another folder."
        ) from error


def _umask() -> int:
    """The process's mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
