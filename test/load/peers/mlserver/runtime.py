"""MLServer with a custom runtime: it has none for ONNX. https://docs.seldon.ai/mlserver/user-guide/custom

Settings (settings.json, <model>/model-settings.json, the ports in ../catalogue.ts) and where they come from:
- parallel_workers 0, the run in the main process, and max_batch_size 0, no adaptive batching. The pages name no values
  but say to find them by trying, and that neither must pay: a pool moves every tensor between processes, and merging the
  requests of a batch costs more than a run of so small a model. CPU a request of mlp at 128 connections, on two busy
  cores: 0.5 to 0.6 ms so; 0.7 to 0.8 with batches of 64; 0.8 to 0.9 with one or two workers and batches; 2 with two
  workers alone. https://docs.seldon.ai/mlserver/user-guide/parallel-inference,
  https://docs.seldon.ai/mlserver/user-guide/adaptive-batching
- debug off (with it the access log), metrics and gzip off: the fastest of
  https://docs.seldon.ai/mlserver/api-reference/settings
- uvloop 0.21 in requirements.txt: with 0.23, which pip would take, its parallel workers fail to start.
"""

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from oip_model import MODEL_TYPES


class Peer(MLModel):
    async def load(self) -> bool:
        self.model = MODEL_TYPES[self.name]()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = self.model.rows(payload.inputs[0].data.root)
        outputs = [
            ResponseOutput(**{**output, "shape": list(output["shape"])}) for output in self.model.outputs(self.model.run(rows))
        ]
        return InferenceResponse(model_name=self.name, model_version="1", outputs=outputs)
