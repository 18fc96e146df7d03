"""BentoML: one Service whose endpoint is batched by BentoML's own adaptive batching.

Settings and where they come from:
- workers, one for each core: https://docs.bentoml.com/en/latest/build-with-bentoml/parallelize-requests.html (CPU
  workloads: a process for each core, because of the interpreter's lock). Each worker makes its own batches.
- batchable, with max_batch_size as in models/<model>/model.yaml and max_latency_ms as long as an answer is worth
  having: https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html. This is BentoML's answer to too much
  load: what would be later gets 503.
- traffic.timeout the same. No max_concurrency, for which no page names a number. Metrics and the access log off, since
  the fastest setting of the page is compared:
  https://docs.bentoml.com/en/latest/reference/bentoml/configurations.html
- uvloop and httptools are in requirements.txt: uvicorn, which BentoML runs, takes them where they are installed.
  https://www.uvicorn.org/#quickstart
"""

import json
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType
from pydantic import BaseModel, PlainSerializer

from oip_model import CORES, DEADLINE_MS, MODEL_TYPE, PATH, run_batch


class Input(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[MODEL_TYPE.data_type]


# A batched endpoint takes and returns lists. A request's own list holds one element, and its body is that element.
Body = Annotated[
    list[Any],
    PlainSerializer(lambda answers: json.dumps(answers[0], separators=(",", ":")), return_type=str),
    ContentType("application/json"),
]


@bentoml.service(
    workers=CORES,
    traffic={"timeout": max(1, DEADLINE_MS / 1000)},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Peer:
    def __init__(self) -> None:
        self.model = MODEL_TYPE()

    @bentoml.api(
        route=PATH,
        batchable=True,
        batch_dim=0,
        max_batch_size=MODEL_TYPE.max_batch_rows,
        max_latency_ms=DEADLINE_MS,
    )
    async def infer(self, inputs: list[Input]) -> Body:
        return run_batch(self.model, [one.data for one in inputs])
