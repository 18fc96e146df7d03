import { bytesField, intField, message, stringField } from '@spillway/errors/protobuf-writer';

/**
 * Just enough of ONNX's protobuf (onnx/onnx.proto, IR 8, opset 17) to write a small model by hand: tests need one that does
 * something no useful model does.
 */
type Bytes = Uint8Array;

const ELEMENT = { FLOAT: 1, INT64: 7, BOOL: 9 } as const;
const ATTRIBUTE_GRAPH = 5;

type Value = { name: string; type: keyof typeof ELEMENT; dims: readonly number[] };
type Graph = { nodes: Bytes[]; constants?: Bytes[]; inputs: Value[]; outputs: Value[] };

const valueInfo = ({ name, type, dims }: Value): Bytes => {
  const shape = message(...dims.map((dim) => bytesField(1, intField(1, dim))));
  const tensor = message(intField(1, ELEMENT[type]), bytesField(2, shape));
  return message(stringField(1, name), bytesField(2, bytesField(1, tensor)));
};

/** `inputs` may hold '': an optional input left out. */
const node = (op: string, inputs: readonly string[], outputs: readonly string[], attributes: Bytes[] = []): Bytes =>
  message(
    ...inputs.map((name) => bytesField(1, Buffer.from(name))),
    ...outputs.map((name) => stringField(2, name)),
    stringField(4, op),
    ...attributes.map((attribute) => bytesField(5, attribute)),
  );

const floats = (name: string, values: readonly number[]): Bytes =>
  message(
    intField(1, values.length), // dims
    intField(2, ELEMENT.FLOAT),
    stringField(8, name),
    bytesField(9, new Uint8Array(Float32Array.from(values).buffer)),
  );

const graph = (name: string, { nodes, constants = [], inputs, outputs }: Graph): Bytes =>
  message(
    ...nodes.map((n) => bytesField(1, n)),
    stringField(2, name),
    ...constants.map((constant) => bytesField(5, constant)),
    ...inputs.map((value) => bytesField(11, valueInfo(value))),
    ...outputs.map((value) => bytesField(12, valueInfo(value))),
  );

const model = (main: Bytes): Bytes =>
  message(intField(1, 8), stringField(2, 'spillway-test'), bytesField(7, main), bytesField(8, intField(2, 17)));

/**
 * Counts to `n` one by one inside ONNX Runtime, which takes about a microsecond a step and cannot be interrupted.
 * `n` INT64 [1] → `y` FP32 [1].
 */
export function countingModel(): Bytes {
  const body = graph('step', {
    nodes: [node('Identity', ['go_on'], ['go_on_out']), node('Add', ['at', 'one'], ['at_out'])],
    inputs: [
      { name: 'step', type: 'INT64', dims: [] },
      { name: 'go_on', type: 'BOOL', dims: [] },
      { name: 'at', type: 'FLOAT', dims: [1] },
    ],
    outputs: [
      { name: 'go_on_out', type: 'BOOL', dims: [] },
      { name: 'at_out', type: 'FLOAT', dims: [1] },
    ],
  });
  const attribute = message(stringField(1, 'body'), bytesField(6, body), intField(20, ATTRIBUTE_GRAPH));
  return model(
    graph('counting', {
      nodes: [node('Loop', ['n', '', 'zero'], ['y'], [attribute])],
      constants: [floats('zero', [0]), floats('one', [1])],
      inputs: [{ name: 'n', type: 'INT64', dims: [1] }],
      outputs: [{ name: 'y', type: 'FLOAT', dims: [1] }],
    }),
  );
}
