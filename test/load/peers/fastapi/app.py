"""The plain server that people write first: FastAPI, one onnxruntime session in each worker, every request run alone.

Settings (uvicorn's command line is in ../catalogue.ts) and where they come from:
- Two workers, one for each core. https://fastapi.tiangolo.com/deployment/server-workers/ ("take advantage of multiple
  cores"); one process holds one core, and a run of the model holds its thread.
- A declared return type: FastAPI then writes the JSON with Pydantic, in Rust, which its page calls the fastest way.
  https://fastapi.tiangolo.com/advanced/custom-response/#json-performance
- `async def`: nothing in it waits, and a `def` would cost a switch to the thread pool for a run of some 20 us.
  https://fastapi.tiangolo.com/async/#path-operation-functions
"""

from fastapi import FastAPI
from pydantic import BaseModel

from oip_model import MODEL, MODEL_TYPE, PATH, answer

model = MODEL_TYPE()
app = FastAPI()


class Input(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[MODEL_TYPE.data_type]


class Request(BaseModel):
    inputs: list[Input]


class Output(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[float] | list[str]


class Answer(BaseModel):
    model_name: str = MODEL
    model_version: str = "1"
    outputs: list[Output]


@app.post(PATH)
async def infer(request: Request) -> Answer:
    return answer(model, model.run(model.rows(request.inputs[0].data)))
