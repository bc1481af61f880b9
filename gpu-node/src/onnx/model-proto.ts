// The ONNX wire format: the messages of onnx.proto that we write, as a table, and nothing else. The only
// file that knows the protobuf library. Field names and numbers are those of onnx/onnx.proto (package
// onnx, IR version 10), Copyright (c) ONNX Project Contributors, Apache-2.0; only what we use is listed.
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

type Scalar = "int32" | "int64" | "float" | "string" | "bytes";
interface Field {
  readonly number: number;
  /** A scalar, or the name of another message of this table. */
  readonly type: Scalar | keyof typeof messages;
  readonly repeated?: boolean;
}

const one = (number: number, type: string): Field => ({ number, type: type as Field["type"] });
const many = (number: number, type: string): Field => ({ ...one(number, type), repeated: true });

const messages = {
  StringStringEntryProto: { key: one(1, "string"), value: one(2, "string") },
  TensorProto: {
    dims: many(1, "int64"),
    data_type: one(2, "int32"),
    name: one(8, "string"),
    raw_data: one(9, "bytes"),
    external_data: many(13, "StringStringEntryProto"),
    data_location: one(14, "int32"),
  },
  // `dim` is TensorShapeProto.Dimension; the nesting of a message's name never reaches the wire.
  Dimension: { dim_value: one(1, "int64"), dim_param: one(2, "string") },
  TensorShapeProto: { dim: many(1, "Dimension") },
  TensorTypeProto: { elem_type: one(1, "int32"), shape: one(2, "TensorShapeProto") },
  TypeProto: { tensor_type: one(1, "TensorTypeProto") },
  ValueInfoProto: { name: one(1, "string"), type: one(2, "TypeProto") },
  AttributeProto: {
    name: one(1, "string"),
    f: one(2, "float"),
    i: one(3, "int64"),
    s: one(4, "bytes"),
    t: one(5, "TensorProto"),
    g: one(6, "GraphProto"),
    floats: many(7, "float"),
    ints: many(8, "int64"),
    type: one(20, "int32"),
  },
  NodeProto: {
    input: many(1, "string"),
    output: many(2, "string"),
    name: one(3, "string"),
    op_type: one(4, "string"),
    attribute: many(5, "AttributeProto"),
    domain: one(7, "string"),
  },
  GraphProto: {
    node: many(1, "NodeProto"),
    name: one(2, "string"),
    initializer: many(5, "TensorProto"),
    input: many(11, "ValueInfoProto"),
    output: many(12, "ValueInfoProto"),
    value_info: many(13, "ValueInfoProto"),
  },
  OperatorSetIdProto: { domain: one(1, "string"), version: one(2, "int64") },
  ModelProto: {
    ir_version: one(1, "int64"),
    producer_name: one(2, "string"),
    producer_version: one(3, "string"),
    graph: one(7, "GraphProto"),
    opset_import: many(8, "OperatorSetIdProto"),
    metadata_props: many(14, "StringStringEntryProto"),
  },
} as const satisfies Record<string, Record<string, Field>>;

export interface TensorProto {
  dims: bigint[];
  dataType: number;
  name: string;
  rawData?: Uint8Array;
  externalData?: { key: string; value: string }[];
  /** 1 when the bytes stand in another file. */
  dataLocation?: number;
}
export interface DimensionProto {
  dimValue?: bigint;
  dimParam?: string;
}
export interface ValueInfoProto {
  name: string;
  /** May be left out of an output, whose type follows from the nodes. */
  type?: { tensorType: { elemType: number; shape: { dim: DimensionProto[] } } };
}
/** `type` says which of the values counts: 1 f, 2 i, 3 s, 4 t, 5 g, 6 floats, 7 ints. */
export interface AttributeProto {
  name: string;
  type: number;
  f?: number;
  i?: bigint;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  floats?: number[];
  ints?: bigint[];
}
export interface NodeProto {
  input: string[];
  output: string[];
  name: string;
  opType: string;
  attribute: AttributeProto[];
  domain?: string;
}
export interface GraphProto {
  node: NodeProto[];
  name: string;
  initializer: TensorProto[];
  input: ValueInfoProto[];
  output: ValueInfoProto[];
  valueInfo?: ValueInfoProto[];
}
export interface ModelProto {
  irVersion: bigint;
  producerName: string;
  producerVersion: string;
  graph: GraphProto;
  opsetImport: { domain: string; version: bigint }[];
  metadataProps?: { key: string; value: string }[];
}

const scalarTypes: Record<Scalar, Type> = {
  int32: Type.INT32,
  int64: Type.INT64,
  float: Type.FLOAT,
  string: Type.STRING,
  bytes: Type.BYTES,
};
const isScalar = (type: string): type is Scalar => Object.hasOwn(scalarTypes, type);

const modelDescriptor = (() => {
  const file = create(FileDescriptorProtoSchema, {
    name: "onnx.proto",
    package: "onnx",
    syntax: "proto2",
    messageType: Object.entries(messages).map(([name, fields]) => ({
      name,
      field: Object.entries(fields as Record<string, Field>).map(([fieldName, field]) => ({
        name: fieldName,
        number: field.number,
        label: field.repeated === true ? Label.REPEATED : Label.OPTIONAL,
        ...(isScalar(field.type)
          ? { type: scalarTypes[field.type] }
          : { type: Type.MESSAGE, typeName: `.onnx.${field.type}` }),
      })),
    })),
  });
  const model = createFileRegistry(file, () => undefined).getMessage("onnx.ModelProto");
  if (model === undefined) throw new Error("the ONNX message table has no ModelProto");
  return model;
})();

/** The bytes of an .onnx file. Below protobuf's 2 GB as long as weights are external data. */
export function encodeModel(model: ModelProto): Uint8Array {
  return toBinary(modelDescriptor, create(modelDescriptor, { ...model }));
}

/** Reads an .onnx file back; fields that are not in the table are left out. */
export function decodeModel(bytes: Uint8Array): ModelProto {
  return fromBinary(modelDescriptor, bytes) as unknown as ModelProto;
}
