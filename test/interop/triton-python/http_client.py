import sys
import numpy as np, tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1])
print("live", client.is_server_live(), "ready", client.is_server_ready(), client.is_model_ready("simple"))
print(client.get_model_metadata("simple")["platform"], client.get_model_config("simple")["max_batch_size"])
a = np.arange(16, dtype=np.int32).reshape(1, 16)
inputs = [triton.InferInput(name, a.shape, "INT32") for name in ("INPUT0", "INPUT1")]
for one in inputs:
    one.set_data_from_numpy(a)
result = client.infer("simple", inputs, request_compression_algorithm="gzip", response_compression_algorithm="gzip", timeout=1_000_000)
print(result.as_numpy("OUTPUT0")[0, :4], result.as_numpy("OUTPUT1")[0, :4])
text = triton.InferInput("text", [1, 1], "BYTES")
text.set_data_from_numpy(np.array([["my card has not arrived"]], dtype=object))
top = triton.InferRequestedOutput("scores", class_count=2)
print(client.infer("intent", [text], outputs=[top]).as_numpy("scores"))
stats = client.get_inference_statistics("simple")["model_stats"][0]
print("inferences", stats["inference_count"], "executions", stats["execution_count"])
print([one["name"] for one in client.get_model_repository_index()])
try:
    client.infer("nothing", inputs)
except triton.InferenceServerException as error:
    print(error.status(), error.message())
