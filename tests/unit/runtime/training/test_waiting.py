from camid.runtime.training import train
from camid.runtime.training.train import _Waiting


def test_a_network_that_waits_for_its_readers_says_so_once(monkeypatch, capfd):
    monkeypatch.setattr(train, "PATIENCE_SECONDS", -1)
    waiting = _Waiting()
    for share in (0.1, 0.2, 0.35, 0.6):
        waiting.hear({"step": 1.0, "waited": share})
    waiting.hear({"step": 2.0, "loss": 0.5})
    said = " ".join(capfd.readouterr().err.split())
    assert said.count("of the time for what is read; raise training.feed_workers") == 1
    assert "the network waits 35% of the time" in said
