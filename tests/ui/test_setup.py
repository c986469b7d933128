from patchrl import api
from patchrl.config import load_config
from patchrl.ui.setup import preflight_card


def test_the_card_says_what_the_backbone_read_or_that_it_is_still_reading():
    card = api.check(load_config("nano-quick"))
    assert "Ready to run" in preflight_card(card) and "nats per token" not in preflight_card(card)
    assert "Ready to run" not in preflight_card(card, reading=True) and "is loading" in preflight_card(
        card, reading=True
    )
    assert "its ℓ is 1.250 nats per token, read on cpu" in preflight_card(card | {"first_nll": 1.25, "device": "cpu"})
