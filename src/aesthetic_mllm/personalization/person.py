"""One person: what they said of photos, and how their ratings are predicted from it."""

import io
import os
from typing import TypedDict

from PIL import Image

from ..engine.engine import AestheticEngine
from ..tasks.personalizing import TRAITS, Profile, ProfileError, Reliability, Taste, tastes
from .personalizers import InContextPersonalizer, Personalizer, RidgePersonalizer, choose_method
from .profile_file import checkpoint_digest, load_profile, save_profile
from .profile_making import Keep
from .profile_photos import ProfilePhotos
from .rater_prior import RaterPrior


class Kept(TypedDict):
    """What holds for more ratings of a person where nothing else is said."""

    score_range: tuple[float, float] | None
    question: str
    keep: Keep


class Person:
    """A profile, its photos, and the transform of ratings that follows from them.

    Args:
        engine: whose model and processor see and rate the photos.
        profile: what the person said.
        photos: what was seen of the profile's photos; `None` for a profile of none.
        method: a name of [`METHODS`], or "auto".

    Attributes:
        personalizer: the transform; `None` for a profile of no photos, which is nobody's in particular.

    Raises:
        ProfileError: no such method, or the checkpoint does not support it.
    """

    def __init__(self, engine: AestheticEngine, profile: Profile, photos: ProfilePhotos | None = None, method: str = "auto"):
        self.engine, self.profile, self.photos, self.method = engine, profile, photos, method
        self.scale = engine.processor.rating_scale
        self.prior = RaterPrior.of_processor(engine.processor)
        self.personalizer = self._personalizer(choose_method(method))

    def _personalizer(self, method: str) -> Personalizer | None:
        if self.photos is None:
            return None
        if method == "ridge":
            return RidgePersonalizer.fit(self.scale, self.profile, self.photos, self.prior)
        return InContextPersonalizer.read(self.engine.model, self.engine.processor, self.profile, self.photos)

    @classmethod
    def load(cls, path: str | os.PathLike[str], engine: AestheticEngine) -> "Person":
        """The person whose profile was saved.

        Raises:
            ProfileError: there is no such file, it is no profile, was changed, or was made with another checkpoint or version.
        """
        prior = RaterPrior.of_processor(engine.processor)
        profile, photos, method = load_profile(path, checkpoint_digest(engine.model, engine.processor, prior))
        return cls(engine, profile, photos, method)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the profile to one safetensors file.

        Raises:
            ProfileError: the file cannot be written.
        """
        checkpoint = checkpoint_digest(self.engine.model, self.engine.processor, self.prior)
        save_profile(path, self.profile, self.photos, self.method, checkpoint)

    def kept(self) -> Kept:
        """Range, question and what is kept of photos, for more ratings of this person."""
        has_thumbnails = self.photos is not None and bool(self.photos.thumbnails)
        keep: Keep = "thumbnails" if has_thumbnails else "tokens"
        return {"score_range": self.profile.source_range, "question": self.profile.question, "keep": keep}

    def updated(self, newer: Profile, photos: ProfilePhotos | None, method: str) -> "Person":
        """This person after more ratings of the same kind; of a photo rated again the newer rating counts.

        Raises:
            ProfileError: the new ones do not fit the profile.
        """
        if photos is None:
            return self
        if self.photos is None:
            return Person(self.engine, newer, photos, method)
        if bool(self.photos.thumbnails) != bool(photos.thumbnails):
            keep = self.kept()["keep"]
            raise ProfileError(f"The profile keeps {keep} of its photos; update it with keep={keep!r}, or leave that out.")
        profile = self.profile.updated(newer)
        both = ProfilePhotos.concat([self.photos, photos])
        places = {key: place for place, key in enumerate([*self.profile.photos, *newer.photos])}
        return Person(self.engine, profile, both.select([places[key] for key in profile.photos]), method)

    def tastes(self) -> tuple[Taste, ...]:
        """What the profile certainly says of the person's taste, the strongest first; empty where nothing is certain."""
        if self.photos is None or self.profile.kind == "likes":
            return ()
        scores = self.profile.scores(self.scale)
        measured = {name: values for name, values in self.photos.traits.items() if name in TRAITS}
        judged = {name: values for name, values in self.photos.traits.items() if name not in TRAITS}
        # attributes go up and down with the whole, so they are soon taken for what was measured
        return tastes(scores, self.photos.general, measured) or tastes(scores, self.photos.general, judged)

    def reliability(self) -> Reliability:
        """How well each rating of the profile is predicted from the others, by ridge regression whatever the method is."""
        if self.photos is None:
            return Reliability(0, None, (-1.0, 1.0), None)
        fitted = RidgePersonalizer.fit(self.scale, self.profile, self.photos, self.prior).fitted
        general = self.photos.general
        return Reliability.of(self.profile.scores(self.scale), general + fitted.left_out, general)

    def thumbnails(self) -> list[Image.Image]:
        """The profile's photos, small; empty where they were not to be kept."""
        files = () if self.photos is None else self.photos.thumbnails
        return [Image.open(io.BytesIO(file)) for file in files]
