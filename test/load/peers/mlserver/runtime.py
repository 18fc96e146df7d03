"""MLServer's custom runtime: it has none for ONNX. https://docs.seldon.ai/mlserver/user-guide/custom"""

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
