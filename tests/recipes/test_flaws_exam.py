"""Operating points are saved beside what a checkpoint's processor holds, and every flaw has a row."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.processing.rating_scale import OperatingPoint


def test_saved_operating_points_are_loaded_and_nothing_else_changes(tmp_path: Path) -> None:
    import flaws_exam

    for name in ("processor_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (embedded_checkpoint() / name).exists():
            shutil.copy(embedded_checkpoint() / name, tmp_path)
    shutil.copytree(embedded_checkpoint() / "side_files", tmp_path / "side_files")
    before = json.loads((tmp_path / "processor_config.json").read_text())
    point = OperatingPoint(4.0, 8.0, 0.5, 3.0, 0.02, 0.8, asked=False)
    scale = AestheticMLLMProcessor.from_pretrained(tmp_path).rating_scale
    flaws_exam.save_scale(tmp_path, replace(scale, operating_points={"flaw_soft": point}))
    after = json.loads((tmp_path / "processor_config.json").read_text())
    assert AestheticMLLMProcessor.from_pretrained(tmp_path).rating_scale.operating_points == {"flaw_soft": point}
    for config in (before, after):
        del config["rating_scale"]["operating_points"]
    assert after == before


def test_the_table_has_a_row_for_each_flaw_asked_or_not() -> None:
    import flaws_exam

    scale = AestheticMLLMProcessor.from_pretrained(embedded_checkpoint()).rating_scale
    figures = {
        key.removeprefix("flaw_"): {
            "auc": 0.9,
            **({"recall": 0.5, "named_first": 0.4, "false_alarms": 0.01} if point.asked else {}),
        }
        for key, point in scale.operating_points.items()
    }
    pool = {"undamaged_photos": 10, "told_anything": 0.2, "flaws_told": 0.3, "named_first": 0.4, "named_among_three": 0.6}
    text = flaws_exam.table(scale, {"reporting": pool | {"flaws": figures}})
    rows = text.split("\n\n")[0].splitlines()
    assert len(rows) == 2 + len(figures) and len({row.count("|") for row in rows}) == 1
    assert sum("not asked" in row for row in rows) == sum(not point.asked for point in scale.operating_points.values())
