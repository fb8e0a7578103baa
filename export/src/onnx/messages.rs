//! The messages of ONNX's file format, with the field numbers of its specification:
//! <https://github.com/onnx/onnx/blob/v1.17.0/onnx/onnx.proto3>.
//!
//! Parts that nothing here reads (functions, training information, sparse tensors, types other than tensors) are kept as
//! bytes, so that a file that is read and written again keeps them. Fields of later versions are skipped when read.
//! prost stops at messages nested deeper than 100, so a hostile file cannot overflow the stack.

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Enumeration, Message, Oneof};

/// A message in two parts: the fields of `First` are written before those of `Rest`.
///
/// prost writes fields by their numbers. Two messages of the specification list theirs in another order, in which our
/// files have always been written: this keeps their bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InOrder<First, Rest> {
    pub(crate) first: First,
    pub(crate) rest: Rest,
}

/// The fields that come first.
pub(crate) trait First: Message {
    /// Their numbers.
    const NUMBERS: &'static [u32];
}

impl<F: First, R: Message> Message for InOrder<F, R> {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        self.first.encode_raw(buffer);
        self.rest.encode_raw(buffer);
    }

    fn merge_field(
        &mut self,
        number: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        if F::NUMBERS.contains(&number) {
            self.first.merge_field(number, wire_type, buffer, context)
        } else {
            self.rest.merge_field(number, wire_type, buffer, context)
        }
    }

    fn encoded_len(&self) -> usize {
        self.first.encoded_len() + self.rest.encoded_len()
    }

    fn clear(&mut self) {
        self.first.clear();
        self.rest.clear();
    }
}

/// A whole file.
pub(crate) type ModelProto = InOrder<ModelVersions, ModelRest>;

/// In which versions a file is written.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ModelVersions {
    #[prost(int64, tag = "1")]
    pub(crate) ir_version: i64,
    #[prost(message, repeated, tag = "8")]
    pub(crate) opset_import: Vec<OperatorSetIdProto>,
}

impl First for ModelVersions {
    const NUMBERS: &'static [u32] = &[1, 8];
}

/// All other fields of a file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ModelRest {
    #[prost(string, tag = "2")]
    pub(crate) producer_name: String,
    #[prost(string, tag = "3")]
    pub(crate) producer_version: String,
    #[prost(string, tag = "4")]
    pub(crate) domain: String,
    #[prost(int64, tag = "5")]
    pub(crate) model_version: i64,
    #[prost(string, tag = "6")]
    pub(crate) doc_string: String,
    #[prost(message, optional, tag = "7")]
    pub(crate) graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "14")]
    pub(crate) metadata_props: Vec<StringStringEntryProto>,
    #[prost(bytes = "vec", repeated, tag = "20")]
    pub(crate) training_info: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "25")]
    pub(crate) functions: Vec<Vec<u8>>,
}

/// A version of a set of operators.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    pub(crate) domain: String,
    #[prost(int64, tag = "2")]
    pub(crate) version: i64,
}

/// A key with its value.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// A graph, or the body of a node.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub(crate) node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) initializer: Vec<TensorProto>,
    #[prost(string, tag = "10")]
    pub(crate) doc_string: String,
    #[prost(message, repeated, tag = "11")]
    pub(crate) input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) output: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "13")]
    pub(crate) value_info: Vec<ValueInfoProto>,
    #[prost(bytes = "vec", repeated, tag = "14")]
    pub(crate) quantization_annotation: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub(crate) sparse_initializer: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "16")]
    pub(crate) metadata_props: Vec<StringStringEntryProto>,
}

/// One operator.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub(crate) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(string, tag = "4")]
    pub(crate) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) attribute: Vec<AttributeProto>,
    #[prost(string, tag = "6")]
    pub(crate) doc_string: String,
    #[prost(string, tag = "7")]
    pub(crate) domain: String,
    #[prost(string, tag = "8")]
    pub(crate) overload: String,
    #[prost(message, repeated, tag = "9")]
    pub(crate) metadata_props: Vec<StringStringEntryProto>,
}

/// An attribute of a node.
pub(crate) type AttributeProto = InOrder<AttributeHead, AttributeValue>;

/// Name and type of an attribute.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeHead {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "13")]
    pub(crate) doc_string: String,
    #[prost(enumeration = "AttributeType", tag = "20")]
    pub(crate) kind: i32,
    #[prost(string, tag = "21")]
    pub(crate) ref_attr_name: String,
}

impl First for AttributeHead {
    const NUMBERS: &'static [u32] = &[1, 13, 20, 21];
}

/// Value of an attribute: the field that its type names.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeValue {
    #[prost(float, tag = "2")]
    pub(crate) f: f32,
    #[prost(int64, tag = "3")]
    pub(crate) i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) s: Vec<u8>,
    #[prost(message, optional, boxed, tag = "5")]
    pub(crate) t: Option<Box<TensorProto>>,
    #[prost(message, optional, boxed, tag = "6")]
    pub(crate) g: Option<Box<GraphProto>>,
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub(crate) floats: Vec<f32>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub(crate) ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub(crate) strings: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "10")]
    pub(crate) tensors: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) graphs: Vec<GraphProto>,
    #[prost(bytes = "vec", optional, tag = "14")]
    pub(crate) tp: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub(crate) type_protos: Vec<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "22")]
    pub(crate) sparse_tensor: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "23")]
    pub(crate) sparse_tensors: Vec<Vec<u8>>,
}

/// Types of attributes, of which those are named that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum AttributeType {
    Undefined = 0,
    Int = 2,
    Text = 3,
    Graph = 5,
    Ints = 7,
    Texts = 8,
}

/// A stored tensor.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(crate) dims: Vec<i64>,
    /// A [`DataType`]; a plain number in the specification too.
    #[prost(int32, tag = "2")]
    pub(crate) data_type: i32,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) segment: Option<Vec<u8>>,
    #[prost(float, repeated, tag = "4")]
    pub(crate) float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub(crate) int32_data: Vec<i32>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub(crate) string_data: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "7")]
    pub(crate) int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub(crate) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    pub(crate) double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    pub(crate) uint64_data: Vec<u64>,
    #[prost(string, tag = "12")]
    pub(crate) doc_string: String,
    #[prost(message, repeated, tag = "13")]
    pub(crate) external_data: Vec<StringStringEntryProto>,
    #[prost(int32, tag = "14")]
    pub(crate) data_location: i32,
    #[prost(message, repeated, tag = "16")]
    pub(crate) metadata_props: Vec<StringStringEntryProto>,
}

/// Element types, `TensorProto.DataType` in the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
#[expect(clippy::upper_case_acronyms, reason = "the specification's names, which are printed")]
pub(crate) enum DataType {
    UNDEFINED = 0,
    FLOAT = 1,
    UINT8 = 2,
    INT8 = 3,
    UINT16 = 4,
    INT16 = 5,
    INT32 = 6,
    INT64 = 7,
    STRING = 8,
    BOOL = 9,
    FLOAT16 = 10,
    DOUBLE = 11,
    UINT32 = 12,
    UINT64 = 13,
    COMPLEX64 = 14,
    COMPLEX128 = 15,
    BFLOAT16 = 16,
    FLOAT8E4M3FN = 17,
    FLOAT8E4M3FNUZ = 18,
    FLOAT8E5M2 = 19,
    FLOAT8E5M2FNUZ = 20,
    UINT4 = 21,
    INT4 = 22,
}

/// An input or output, or a value whose type is declared.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) kind: Option<TypeProto>,
    #[prost(string, tag = "3")]
    pub(crate) doc_string: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) metadata_props: Vec<StringStringEntryProto>,
}

/// A type.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TypeProto {
    #[prost(oneof = "TypeValue", tags = "1, 4, 5, 8, 9")]
    pub(crate) value: Option<TypeValue>,
    #[prost(string, tag = "6")]
    pub(crate) denotation: String,
}

/// What a value can be.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum TypeValue {
    #[prost(message, tag = "1")]
    Tensor(TensorType),
    #[prost(bytes, tag = "4")]
    Sequence(Vec<u8>),
    #[prost(bytes, tag = "5")]
    Map(Vec<u8>),
    #[prost(bytes, tag = "8")]
    SparseTensor(Vec<u8>),
    #[prost(bytes, tag = "9")]
    Optional(Vec<u8>),
}

/// A tensor's type: `TypeProto.Tensor` in the specification.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorType {
    /// A [`DataType`].
    #[prost(int32, tag = "1")]
    pub(crate) elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) shape: Option<TensorShapeProto>,
}

/// The axes of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub(crate) dim: Vec<Dimension>,
}

/// One axis.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dimension {
    /// Nothing where any size will do.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub(crate) value: Option<DimensionValue>,
    #[prost(string, tag = "3")]
    pub(crate) denotation: String,
}

/// A size, or the name of one.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum DimensionValue {
    #[prost(int64, tag = "1")]
    Size(i64),
    #[prost(string, tag = "2")]
    Name(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_order_and_packing_are_kept() {
        let attribute = AttributeProto {
            first: AttributeHead { name: "a".into(), kind: 7, ..Default::default() },
            rest: AttributeValue { ints: vec![1, 2], ..Default::default() },
        };
        // name, then type 7, then each integer under a key of its own.
        let bytes = [0x0A, 1, b'a', 0xA0, 0x01, 7, 0x40, 1, 0x40, 2];
        assert_eq!(attribute.encode_to_vec(), bytes);
        assert_eq!(AttributeProto::decode(&bytes[..]).unwrap(), attribute);
        let packed = [0x0A, 1, b'a', 0x42, 2, 1, 2, 0xA0, 0x01, 7];
        assert_eq!(AttributeProto::decode(&packed[..]).unwrap(), attribute);
    }

    #[test]
    fn parts_that_are_not_read_are_kept() {
        let functions = [0xCA, 0x01, 2, 0x0A, 0, 0xCA, 0x01, 0];
        let model = ModelProto::decode(&functions[..]).unwrap();
        assert_eq!(model.rest.functions, [vec![0x0A, 0], vec![]]);
        assert_eq!(model.encode_to_vec(), functions);
    }
}
