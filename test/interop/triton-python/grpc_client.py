import queue, sys
import numpy as np, tritonclient.grpc as triton

client = triton.InferenceServerClient(sys.argv[1])
print("live", client.is_server_live(), "ready", client.is_server_ready(), client.is_model_ready("simple"))
print(client.get_server_metadata().extensions)
a = np.arange(16, dtype=np.int32).reshape(1, 16)
inputs = [triton.InferInput(name, a.shape, "INT32") for name in ("INPUT0", "INPUT1")]
for one in inputs:
    one.set_data_from_numpy(a)
result = client.infer("simple", inputs, priority=2, timeout=1_000_000, compression_algorithm="gzip", client_timeout=2)
print(result.as_numpy("OUTPUT0")[0, :4])
answers = queue.Queue()
client.start_stream(lambda result, error: answers.put((result, error)))
for n in range(3):
    client.async_stream_infer("simple", inputs, request_id=str(n))
for _ in range(3):
    result, error = answers.get(timeout=5)
    print("stream", result.get_response().id, result.as_numpy("OUTPUT1")[0, :2], error)
client.stop_stream()
stats = client.get_inference_statistics("simple").model_stats[0]
print("inferences", stats.inference_count, "executions", stats.execution_count)
try:
    client.load_model("simple")
except triton.InferenceServerException as error:
    print(error.status(), error.message())
