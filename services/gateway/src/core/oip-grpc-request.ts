import type { DataTypeName } from '@spillway/contracts/tensor';
import { addClasses, addOutput, type OutputSelection } from './asked-outputs.ts';
import { bad } from './invalid-request.ts';
import { dataFromContents } from './oip-grpc-contents.ts';
import { flagOf, readParameter, text, wholeNumber } from './oip-grpc-parameters.ts';
import { datatypeFromJson } from './oip-json.ts';
import { refuseReserved, refuseSharedMemory } from './oip-parameters.ts';
import { type ReceiptPlace, readReceiptPlace } from './receipt-fields.ts';
import type { TensorValue } from './request.ts';
import { broken, LENGTH, VARINT, WireReader } from './wire-reader.ts';

/** What a ModelInferRequest says. Filled as it is read, so that a failure can be answered under the client's id. */
export type GrpcInferCall = {
  model: string;
  /** Empty: the newest. */
  version: string;
  /** The client's own label, echoed. */
  clientId: string;
  inputs: TensorValue[];
  outputs: OutputSelection;
  timeoutUs: number | undefined;
  /** 0: none. */
  priority: number;
  /** List of rungs; undefined: nothing said. */
  accept: string | undefined;
  /** Where the receipt goes; undefined: nothing said. */
  receipt: ReceiptPlace | undefined;
};

export const emptyCall = (): GrpcInferCall => ({
  model: '',
  version: '',
  clientId: '',
  inputs: [],
  outputs: { names: [], classes: undefined, batches: undefined },
  timeoutUs: undefined,
  priority: 0,
  accept: undefined,
  receipt: undefined,
});

type Input = { name: string; datatype: DataTypeName; shape: number[]; contents: Buffer | undefined };

const MAX_TENSORS = 64;
const MAX_RANK = 32;

/**
 * Reads a serialized ModelInferRequest. Tensors are views of `message` where they can be; their sizes are held against the
 * model's declaration later, like those of every door.
 * @throws SpillwayError `INVALID_REQUEST` or `UNSUPPORTED`, naming the field; `call` holds what was read before.
 */
export function readInferMessage(message: Buffer, call: GrpcInferCall): void {
  const reader = new WireReader(message);
  const inputs: Input[] = [];
  const raw: Buffer[] = [];
  while (reader.next()) {
    if (reader.wireType !== LENGTH) {
      reader.skip(); // every field we know is length-delimited
      continue;
    }
    switch (reader.field) {
      case 1:
        call.model = reader.string();
        break;
      case 2:
        call.version = reader.string();
        break;
      case 3:
        call.clientId = reader.string();
        break;
      case 4:
        applyParameter(reader.message(), call);
        break;
      case 5:
        atMost(inputs.length, 'inputs');
        inputs.push(readInput(reader.message(), inputs.length));
        break;
      case 6:
        readOutput(reader.message(), call.outputs);
        break;
      case 7:
        atMost(raw.length, 'raw_input_contents');
        raw.push(reader.bytes());
        break;
      default:
        reader.skip();
    }
  }
  if (raw.length === 0) {
    for (const { name, datatype, shape, contents } of inputs) {
      call.inputs.push({ name, datatype, shape, data: dataFromContents(name, datatype, shape, contents) });
    }
    return;
  }
  if (raw.length !== inputs.length) {
    throw bad(`raw_input_contents: expected ${inputs.length} entries, one for each input, got ${raw.length}`);
  }
  for (let i = 0; i < inputs.length; i += 1) {
    const { name, datatype, shape, contents } = inputs[i] as Input;
    if (contents !== undefined && contents.length > 0) {
      throw bad(`input "${name}": contents: expected none beside raw_input_contents`);
    }
    call.inputs.push({ name, datatype, shape, data: raw[i] as Buffer });
  }
}

function atMost(count: number, what: string): void {
  if (count === MAX_TENSORS) throw bad(`${what}: expected at most ${MAX_TENSORS} entries`);
}

function readInput(reader: WireReader, index: number): Input {
  let name = '';
  let datatype = '';
  let contents: Buffer | undefined;
  const shape: number[] = [];
  while (reader.next()) {
    const { field, wireType } = reader;
    if (field === 1 && wireType === LENGTH) name = reader.string();
    else if (field === 2 && wireType === LENGTH) datatype = reader.string();
    else if (field === 3 && wireType === LENGTH) readDims(reader.message(), shape, index);
    else if (field === 3 && wireType === VARINT) readDim(reader, shape, index);
    else if (field === 4 && wireType === LENGTH) {
      refuseSharedMemory(readParameter(reader.message()).key, `inputs[${index}]`);
    } else if (field === 5 && wireType === LENGTH) {
      if (contents !== undefined) throw bad(`inputs[${index}].contents: expected it once`);
      contents = reader.bytes();
    } else if (field <= 5) throw broken();
    else reader.skip();
  }
  return { name, datatype: datatypeFromJson(datatype, `input "${name}"`), shape, contents };
}

function readDims(packed: WireReader, shape: number[], index: number): void {
  while (!packed.atEnd) readDim(packed, shape, index);
}

function readDim(reader: WireReader, shape: number[], index: number): void {
  const dim = reader.int64();
  if (!Number.isSafeInteger(dim) || dim < 0) throw bad(`inputs[${index}].shape: expected integers ≥ 0, got ${dim}`);
  if (shape.length === MAX_RANK) throw bad(`inputs[${index}].shape: expected at most ${MAX_RANK} dimensions`);
  shape.push(dim);
}

/** The name may stand behind the parameters. */
function readOutput(reader: WireReader, outputs: OutputSelection): void {
  let name = '';
  let classes: number | undefined;
  const where = `outputs[${outputs.names.length}]`;
  while (reader.next()) {
    if (reader.wireType !== LENGTH) reader.skip();
    else if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) {
      const parameter = readParameter(reader.message());
      refuseSharedMemory(parameter.key, where);
      if (parameter.key === 'classification') classes = wholeNumber(parameter);
    } else reader.skip();
  }
  addOutput(outputs, name);
  if (classes !== undefined) addClasses(outputs, name, classes);
}

function applyParameter(entry: WireReader, call: GrpcInferCall): void {
  const parameter = readParameter(entry);
  switch (parameter.key) {
    case 'priority':
      call.priority = wholeNumber(parameter);
      break;
    case 'timeout':
      call.timeoutUs = wholeNumber(parameter) || undefined; // 0: none, as at Triton
      break;
    case 'spillway_accept':
      call.accept = text(parameter);
      break;
    case 'spillway_receipt':
      call.receipt = readReceiptPlace(text(parameter), 'parameters.spillway_receipt');
      break;
    case 'triton_enable_empty_final_response': // a model that answers once sends no further response
      flagOf(parameter);
      break;
    default: // what is not reserved is the backend's; none of ours reads one yet
      refuseReserved(parameter.key, parameter.value);
  }
}
