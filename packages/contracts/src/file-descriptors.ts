import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import descriptor, {
  type IDescriptorProto,
  type IEnumDescriptorProto,
  type IFieldDescriptorProto,
  type IServiceDescriptorProto,
} from 'protobufjs/ext/descriptor/index.js';

/** A `.proto` file as reflection hands it out. */
export type FileDescriptor = {
  /** As it stands in imports. */
  name: string;
  imports: readonly string[];
  /** Full names. */
  services: readonly string[];
  /** Full names of all that the file declares: services, methods, messages, fields, enums and their values. */
  symbols: readonly string[];
  /** A serialized `google.protobuf.FileDescriptorProto`. */
  bytes: Uint8Array;
};

/*
 * protobufjs has a conversion of its own, which strict readers refuse: entries of maps lack the name that they must have, and
 * the end of a reserved range is taken for the last number of it. So this one, of what proto3 files without extensions hold.
 */

const SCALARS: Record<string, number> = {
  ...{ double: 1, float: 2, int64: 3, uint64: 4, int32: 5, fixed64: 6, fixed32: 7, bool: 8, string: 9, bytes: 12 },
  ...{ uint32: 13, sfixed32: 15, sfixed64: 16, sint32: 17, sint64: 18 },
};
const MESSAGE = 11;
const ENUM = 14;
const OPTIONAL = 1;
const REPEATED = 3;

/**
 * The files and everything that they import, in no order. Reads files of this repository only: a schema can carry code.
 * @throws Error when a file is in none of the folders or breaks the syntax.
 */
export function fileDescriptors(files: readonly string[], includeDirs: readonly string[]): FileDescriptor[] {
  const root = new protobuf.Root();
  const parsed = new Map<string, protobuf.IParserResult>();
  const parse = (name: string): void => {
    if (parsed.has(name)) return;
    const path = includeDirs.map((dir) => join(dir, name)).find((candidate) => existsSync(candidate));
    if (path === undefined) throw new Error(`${name}: in none of ${includeDirs.join(', ')}`);
    Object.assign(protobuf.parse, { filename: name }); // every object remembers it; the types do not know the member
    const result = protobuf.parse(readFileSync(path, 'utf8'), root, { keepCase: true });
    parsed.set(name, result);
    for (const imported of result.imports ?? []) parse(imported);
  };
  for (const name of files) parse(name);
  root.resolveAll();
  return [...parsed].map(([name, { package: scope = '', imports = [] }]) => {
    const within = root.lookup(scope) as protobuf.Namespace;
    const declared = within.nestedArray.filter(({ filename }) => filename === name);
    const messages = declared.filter((one) => one instanceof protobuf.Type);
    const enums = declared.filter((one) => one instanceof protobuf.Enum);
    const services = declared.filter((one) => one instanceof protobuf.Service);
    const file = descriptor.FileDescriptorProto.create({
      name,
      package: scope,
      dependency: imports,
      messageType: messages.map(messageOf),
      enumType: enums.map(enumOf),
      service: services.map(serviceOf),
      syntax: 'proto3',
    });
    return {
      name,
      imports,
      services: services.map(fullName),
      symbols: declared.flatMap(symbolsOf),
      bytes: descriptor.FileDescriptorProto.encode(file).finish(),
    };
  });
}

/** protobufjs begins full names with a dot. */
const fullName = (object: protobuf.ReflectionObject): string => object.fullName.slice(1);

function symbolsOf(object: protobuf.ReflectionObject): string[] {
  const own = fullName(object);
  if (object instanceof protobuf.Service) return [own, ...object.methodsArray.map(fullName)];
  if (object instanceof protobuf.Type) {
    return [own, ...object.fieldsArray.map(fullName), ...object.nestedArray.flatMap(symbolsOf)];
  }
  if (!(object instanceof protobuf.Enum)) return [];
  const scope = own.slice(0, own.lastIndexOf('.') + 1); // values stand beside their enum, not in it
  return [own, ...Object.keys(object.values).map((value) => scope + value)];
}

function messageOf(type: protobuf.Type): IDescriptorProto {
  const { fieldsArray, nestedArray, oneofsArray, reserved = [] } = type;
  const entries = fieldsArray.filter((field) => field instanceof protobuf.MapField).map(entryOf);
  const ranges = reserved.filter((one): one is number[] => Array.isArray(one));
  return {
    name: type.name,
    field: fieldsArray.map(fieldOf),
    nestedType: [...entries, ...nestedArray.filter((one) => one instanceof protobuf.Type).map(messageOf)],
    enumType: nestedArray.filter((one) => one instanceof protobuf.Enum).map(enumOf),
    oneofDecl: oneofsArray.map(({ name }) => ({ name })),
    reservedRange: ranges.map(([first = 0, last = first]) => ({ start: first, end: last + 1 })),
    reservedName: reserved.filter((one): one is string => typeof one === 'string'),
  };
}

function fieldOf(field: protobuf.Field): IFieldDescriptorProto {
  const { name, id: number, parent, partOf } = field;
  const jsonName = camelCase(name); // without it tools print the name as written
  if (field instanceof protobuf.MapField) {
    const typeName = `${parent?.fullName}.${entryName(name)}`;
    return { name, number, label: REPEATED, type: MESSAGE, typeName, jsonName };
  }
  return {
    ...{ name, number, label: field.repeated ? REPEATED : OPTIONAL, ...typeOf(field), jsonName },
    ...(partOf && parent instanceof protobuf.Type && { oneofIndex: parent.oneofsArray.indexOf(partOf) }),
  };
}

function typeOf({ type, resolvedType }: protobuf.FieldBase): Pick<IFieldDescriptorProto, 'type' | 'typeName'> {
  if (resolvedType instanceof protobuf.Enum) return { type: ENUM, typeName: resolvedType.fullName };
  if (resolvedType) return { type: MESSAGE, typeName: resolvedType.fullName };
  return { type: SCALARS[type] as number };
}

/** A map is a list of messages with key and value, named after the field: `batch_stats` → `BatchStatsEntry`. */
const entryOf = (field: protobuf.MapField): IDescriptorProto => ({
  name: entryName(field.name),
  field: [
    { name: 'key', number: 1, label: OPTIONAL, type: SCALARS[field.keyType] as number, jsonName: 'key' },
    { name: 'value', number: 2, label: OPTIONAL, ...typeOf(field), jsonName: 'value' },
  ],
  options: { mapEntry: true },
});

const camelCase = (name: string): string => name.replace(/_+(.?)/g, (_match, next: string) => next.toUpperCase());

const entryName = (field: string): string => `${camelCase(`_${field}`)}Entry`;

const enumOf = ({ name, values }: protobuf.Enum): IEnumDescriptorProto => ({
  name,
  value: Object.entries(values).map(([value, number]) => ({ name: value, number })),
});

const serviceOf = ({ name, methodsArray }: protobuf.Service): IServiceDescriptorProto => ({
  name,
  method: methodsArray.map((method) => ({
    name: method.name,
    inputType: method.resolvedRequestType?.fullName ?? '',
    outputType: method.resolvedResponseType?.fullName ?? '',
    clientStreaming: method.requestStream === true,
    serverStreaming: method.responseStream === true,
  })),
});
