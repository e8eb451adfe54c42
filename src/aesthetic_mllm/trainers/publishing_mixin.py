"""What trainers do to publish what they have made: adapters that load elsewhere, and the finished checkpoint on the Hub."""

import logging
from pathlib import Path
from typing import Any

from peft import PeftModel

from ..publishing.hub import Pushed, check_before_push, clear_errors, push_folder
from .adapters import complete_adapters
from .model_card import ModelCardMixin
from .output_files import TUNED
from .tuning import save_tuned

logger = logging.getLogger(__name__)


class PublishingMixin(ModelCardMixin):
    """For trainers: the Hub gets the finished checkpoint in one commit, and not what lies in `output_dir`.

    `push_to_hub` in the configuration means that `aesthetic-mllm train` sends it at the end; `hub_model_id`, `hub_revision`,
    `hub_token` and `hub_private_repo` say where. Checkpoints of the run are not sent, whatever `hub_strategy` says: they hold
    the optimizer's state and no card. Trained by a script, [`push_to_hub`] sends it.
    """

    finished_folder = TUNED  # below output_dir

    def save_finished(self, folder: str | Path) -> None:
        """Writes the finished checkpoint with its card; all processes must call it."""
        save_tuned(self, folder)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Writes the finished checkpoint below `output_dir` and sends it; all processes must call it.

        Args:
            commit_message, token, revision, private: as of `Trainer.push_to_hub`.
            blocking: must be true: one commit is sent as a whole.
            kwargs: of the card ([`create_model_card`]).

        Returns:
            a [`Pushed`]; `None` in other processes than the main one.

        Raises:
            PushError: it could not be sent; it is saved all the same.
        """
        if not blocking:
            raise ValueError("blocking=False: the finished checkpoint is sent as a whole; leave blocking out.")
        folder = Path(str(self.args.output_dir)) / self.finished_folder
        self.save_finished(folder)
        if not self.is_world_process_zero():
            return None
        if kwargs:
            self.create_model_card(folder=folder, **kwargs)
        return self.send_finished(folder, commit_message, token, revision, private)

    def send_finished(
        self,
        folder: Path,
        message: str | None = "End of training",
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
    ) -> Pushed:
        """Sends a finished checkpoint; the main process alone does.

        A card without results is no hindrance, because they are measured afterwards; what lacks is logged.

        Args:
            folder: of the checkpoint.
            message: of the commit.
            token, revision, private: default the configuration's.

        Raises:
            PushError: it could not be sent.
        """
        args = self.args
        for problem in check_before_push(folder, loads=False):
            logger.warning("%s", problem)
        return push_folder(
            folder,
            self.hub_model_id or args.hub_model_id or Path(str(args.output_dir)).absolute().name,
            private=bool(args.hub_private_repo if private is None else private),
            revision=revision or args.hub_revision,
            message=message,
            token=token or args.hub_token,
        )

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """As the parent's, before training, with a clear error.

        Raises:
            PushError: the repository cannot be made or written to.
        """
        with clear_errors(self.args.hub_model_id or Path(str(self.args.output_dir)).name, token or self.args.hub_token):
            super().init_hf_repo(token, private)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As the parent's; nothing is sent."""
        super().save_model(output_dir, _internal_call=True)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """As the parent's; folders of adapters load on any machine."""
        super()._save(output_dir, state_dict)
        model = self.accelerator.unwrap_model(self.model)
        if self.args.should_save and isinstance(model, PeftModel):
            complete_adapters(model, output_dir or str(self.args.output_dir), type(self).__name__)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Nothing: see the class."""
