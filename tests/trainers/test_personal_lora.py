"""LoRA for one person: learned, used while it rates, and gone when it is removed."""

import torch

from aesthetic_mllm.inference.photo_stream import read_photo
from aesthetic_mllm.trainers.personal_lora import LoraWay, PersonalLoraConfig
from lively_assessor import lively_assessor
from photo_files import scene


def test_a_person_is_learned_and_removed() -> None:
    """It comes near the person's ratings, leaves the general ratings and what can be trained as they were, and is removed."""
    assessor = lively_assessor()
    images = [scene(60 + 9 * number, 50) for number in range(4)]
    with torch.inference_mode():
        seen = assessor._see([read_photo(assessor.processor.image_processor, image) for image in images])
    general = assessor.score(images)
    learns = {name for name, weight in assessor.model.named_parameters() if weight.requires_grad}
    given = [1.0, 10.0, 1.0, 10.0]
    config = PersonalLoraConfig(epochs=40, learning_rate=1e-2, batch_size=4)
    way = LoraWay.tune(assessor.model, assessor.processor, seen, given, "aesthetic", config)
    assert assessor.score(images) == general
    means = [rating.mean for rating in way.rate(seen, general)]
    assert max(means[0], means[2]) < min(means[1], means[3])
    way.remove()
    assert assessor.score(images) == general
    assert {name for name, weight in assessor.model.named_parameters() if weight.requires_grad} == learns
    assert not hasattr(assessor.model.model.language_model, "peft_config")  # nothing of one person is left for the next
