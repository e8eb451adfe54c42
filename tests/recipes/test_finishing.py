"""The finished checkpoint carries what its card says."""

from aesthetic_mllm.publishing.card_facts import CardFacts
from recipes.nano.finishing import FACTS
from recipes.nano.prompts import FLAWS, WHOLE
from recipes.nano.rated_photos import ASKED


def test_the_facts_of_the_card_are_those_of_the_recipe() -> None:
    """They name every question about the whole photo and every rated source, and fit the form of a card."""
    facts = CardFacts.load(FACTS)
    assert all(question in f"{facts.summary} {facts.terms}" for question in WHOLE)
    sources = " ".join(source.source for source in facts.training_data).lower().replace("-", "")
    assert all(name.partition("_")[0] in sources for name in ASKED)
    assert len(FLAWS) == 15 and "fifteen" in facts.summary
