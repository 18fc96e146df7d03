/**
 * Reads of an ONNX file what must be known before a runtime opens it. The file is walked field by field as the protobuf
 * wire format says (https://protobuf.dev/programming-guides/encoding/), by lengths only: weights are skipped, nothing is
 * copied. Field numbers are those of onnx.proto3 (ONNX 1.21).
 */
export type OnnxScan = {
  irVersion: number;
  /** Names of tensors that keep their data in other files. */
  external: string[];
  /** Inputs (initialisers left out) and outputs. */
  inputs: OnnxValue[];
  outputs: OnnxValue[];
};
/** `elemType` is onnx.TensorProto.DataType; 0 if the value is no tensor (a sequence, a map). */
export type OnnxValue = { name: string; elemType: number };

const MAX_DEPTH = 64; // of graphs inside nodes inside graphs; a file is data, and data must not end the stack

const MODEL = { irVersion: 1, graph: 7, trainingInfo: 20, functions: 25 } as const;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, sparseInitializer: 15 } as const;
const TENSOR = { name: 8, externalData: 13, dataLocation: 14 } as const;
const EXTERNAL = 1;

type Visit = (field: number, value: number, body: Buffer) => void;

/** Calls `visit` for each field: `value` of a varint, or `body` of a length-delimited one. */
function walk(bytes: Buffer, visit: Visit): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at];
      if (byte === undefined) break;
      at += 1;
      value += (byte & 0x7f) * 2 ** shift; // exact below 2^53: lengths and enums are
      if (byte < 0x80) return value;
    }
    throw new Error('expected an ONNX model, got a file that ends inside a number');
  };
  const skip = (length: number): Buffer => {
    if (at + length > bytes.length) throw new Error('expected an ONNX model, got a file that is cut off or no model');
    const body = bytes.subarray(at, at + length);
    at += length;
    return body;
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    if (field === 0) throw new Error('expected an ONNX model, got a file that is none');
    switch (tag % 8) {
      case 0:
        visit(field, varint(), EMPTY);
        break;
      case 1:
        skip(8);
        break;
      case 2:
        visit(field, 0, skip(varint()));
        break;
      case 5:
        skip(4);
        break;
      default:
        throw new Error('expected an ONNX model, got a file that is none');
    }
  }
}

const EMPTY = Buffer.alloc(0);

/** @throws Error naming what was expected when the bytes are no ONNX model. */
export function scanOnnx(file: Uint8Array): OnnxScan {
  const scan: OnnxScan = { irVersion: 0, external: [], inputs: [], outputs: [] };
  let graphs = 0;
  walk(Buffer.from(file.buffer, file.byteOffset, file.byteLength), (field, value, body) => {
    if (field === MODEL.irVersion) scan.irVersion = value;
    else if (field === MODEL.graph) {
      graphs += 1;
      scanMainGraph(body, scan);
    } else if (field === MODEL.functions) scanFunction(body, scan, 1);
    else if (field === MODEL.trainingInfo) scanTraining(body, scan);
  });
  if (graphs === 0) throw new Error('expected an ONNX model, got a file without a graph');
  return scan;
}

function scanMainGraph(graph: Buffer, scan: OnnxScan): void {
  const initializers = new Set<string>();
  walk(graph, (field, _, body) => {
    if (field === GRAPH.input) scan.inputs.push(readValue(body));
    else if (field === GRAPH.output) scan.outputs.push(readValue(body));
    else if (field === GRAPH.initializer) initializers.add(readTensor(body).name);
  });
  scanGraph(graph, scan, 0);
  scan.inputs = scan.inputs.filter((input) => !initializers.has(input.name)); // up to IR 3 every initialiser is listed as input
}

function scanGraph(graph: Buffer, scan: OnnxScan, depth: number): void {
  if (depth > MAX_DEPTH) throw new Error(`expected at most ${MAX_DEPTH} graphs inside each other`);
  walk(graph, (field, _, body) => {
    if (field === GRAPH.node) scanNode(body, scan, depth);
    else if (field === GRAPH.initializer) scanTensor(body, scan);
    else if (field === GRAPH.sparseInitializer) scanSparse(body, scan);
  });
}

/** TrainingInfoProto initialization = 1, algorithm = 2 */
function scanTraining(bytes: Buffer, scan: OnnxScan): void {
  walk(bytes, (field, _, body) => {
    if (field === 1 || field === 2) scanGraph(body, scan, 1);
  });
}

/** FunctionProto.node = 7 */
function scanFunction(bytes: Buffer, scan: OnnxScan, depth: number): void {
  walk(bytes, (field, _, body) => {
    if (field === 7) scanNode(body, scan, depth);
  });
}

/** NodeProto.attribute = 5; AttributeProto t = 5, g = 6, tensors = 10, graphs = 11, sparse_tensor = 22, sparse_tensors = 23 */
function scanNode(node: Buffer, scan: OnnxScan, depth: number): void {
  walk(node, (field, _, attribute) => {
    if (field !== 5) return;
    walk(attribute, (part, __, body) => {
      if (part === 5 || part === 10) scanTensor(body, scan);
      else if (part === 6 || part === 11) scanGraph(body, scan, depth + 1);
      else if (part === 22 || part === 23) scanSparse(body, scan);
    });
  });
}

/** SparseTensorProto values = 1, indices = 2 */
function scanSparse(bytes: Buffer, scan: OnnxScan): void {
  walk(bytes, (field, _, body) => {
    if (field === 1 || field === 2) scanTensor(body, scan);
  });
}

function scanTensor(bytes: Buffer, scan: OnnxScan): void {
  const tensor = readTensor(bytes);
  if (tensor.external) scan.external.push(tensor.name);
}

function readTensor(bytes: Buffer): { name: string; external: boolean } {
  const tensor = { name: '', external: false };
  walk(bytes, (field, value, body) => {
    if (field === TENSOR.name) tensor.name = body.toString('utf8');
    else if (field === TENSOR.externalData || (field === TENSOR.dataLocation && value === EXTERNAL))
      tensor.external = true;
  });
  return tensor;
}

/** ValueInfoProto name = 1, type = 2; TypeProto tensor_type = 1; its elem_type = 1 */
function readValue(bytes: Buffer): OnnxValue {
  const value: OnnxValue = { name: '', elemType: 0 };
  walk(bytes, (field, _, body) => {
    if (field === 1) value.name = body.toString('utf8');
    else if (field === 2) {
      walk(body, (kind, __, type) => {
        if (kind !== 1) return;
        walk(type, (part, elemType) => {
          if (part === 1) value.elemType = elemType;
        });
      });
    }
  });
  return value;
}

/** onnx.TensorProto.DataType, as far as it is named in a refusal. */
const ELEM_TYPES: Record<number, string> = {
  0: 'no tensor',
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
  24: 'float8e8m0',
};
const FIRST_UNSERVED = 14; // 1 to 13 are the types of the Open Inference Protocol

/** Why a file is not served, or undefined. The names are the model owner's own. */
export function refusal(scan: OnnxScan): string | undefined {
  const [first] = scan.external;
  if (first !== undefined) {
    return `expected all weights inside the file, got ${scan.external.length} tensors with external data, the first is "${first}"`;
  }
  for (const [side, values] of [
    ['input', scan.inputs],
    ['output', scan.outputs],
  ] as const) {
    for (const { name, elemType } of values) {
      if (elemType >= 1 && elemType < FIRST_UNSERVED) continue;
      const got = ELEM_TYPES[elemType] ?? `type ${elemType}`;
      const hint =
        elemType === 16
          ? '; onnxruntime-node cannot exchange bfloat16 tensors: cast to float16 or float at the graph’s border'
          : '';
      return `${side} "${name}": expected a tensor of a type of the Open Inference Protocol, got ${got}${hint}`;
    }
  }
  return undefined;
}
