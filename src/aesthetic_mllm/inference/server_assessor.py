"""An assessor whose model is on a server."""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ..checkpoints import embedded_checkpoint
from ..editing.claims.photo_evidence import PhotoEvidence
from ..engine.engine import EncodedPhotos
from ..processing.checkpoint_side_files import HUB_OPTIONS
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..serving.chat_client import ChatClient
from ..serving.server_engine import LOAD_IT, ServerEngine
from ..serving.server_errors import NotServedError
from ..tasks.commenting import CommentStyle
from .base_assessor import BaseAssessor

logger = logging.getLogger(__name__)


class PlainCommentWriter:
    """Writes comments as the model likes them best, word by word; nothing guides or corrects them.

    Args:
        engine: that writes.
    """

    def __init__(self, engine: ServerEngine):
        self.engine = engine

    def write(
        self,
        encoded: EncodedPhotos,
        request: str,
        style: CommentStyle,
        evidence: Sequence[PhotoEvidence] | None = None,
    ) -> list[str]:
        """A comment on each photo; what was measured of it has no say."""
        return self.engine.write_plainly(encoded, request, style.max_new_tokens)


class ServerAssessor(BaseAssessor):
    """As [`AestheticAssessor`], with the model on servers; made by [`AestheticAssessor.from_server`].

    Photos are read and shrunk here, and only what the model sees of them is sent. `batch_size` has no say in any method: the
    server makes its own batches. Besides what the local assessor raises, every method raises [`ServerError`] where no server
    answers.

    Args:
        engine: that asks the servers.
    """

    engine: ServerEngine

    def __init__(self, engine: ServerEngine):
        self.engine = engine
        self.personalizer = None

    @classmethod
    def connect(
        cls,
        addresses: Sequence[str],
        model: str | os.PathLike[str] | None = None,
        *,
        served_model: str | None = None,
        token: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        concurrency: int = 16,
        **kwargs: Any,
    ) -> "ServerAssessor":
        """As [`AestheticAssessor.from_server`]."""
        unknown = kwargs.keys() - set(HUB_OPTIONS)
        if unknown:
            known = ", ".join(HUB_OPTIONS)
            raise TypeError(f"from_server knows no {', '.join(sorted(unknown))}; besides its own options it takes {known}.")
        client = ChatClient(addresses, token=token, timeout=timeout, retries=retries, concurrency=concurrency)
        folder = embedded_checkpoint() if model is None else model
        processor = AestheticMLLMProcessor.from_pretrained(folder, **kwargs)
        return cls(ServerEngine(client, processor, served_model))

    @cached_property
    def comments(self) -> PlainCommentWriter:  # type: ignore[override]
        """Writes the comments, without what guides them locally."""
        logger.warning("Comments from a server are not guided and not checked against the photo, as those of a loaded model are.")
        return PlainCommentWriter(self.engine)

    def checkpoint_identity(self) -> tuple[str, str]:
        """Servers do not tell their weights: the name under which they serve them, and a digest of what is asked, stand for
        them."""
        asked = json.dumps([self.processor.rating_scale.to_dict(), self.processor.level_ids], sort_keys=True)
        return f"{self.engine.served_model} (served) {hashlib.sha256(asked.encode()).hexdigest()[:32]}", "served"

    def personalize(self, *args: Any, **kwargs: Any) -> Any:
        """Not with a server: personal ratings are predicted from what the model sees of photos, which servers do not tell."""
        raise NotServedError(self.engine.client.name, f"a server does not tell what the model sees of photos; {LOAD_IT}")
