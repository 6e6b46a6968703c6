//! Values: bytes with a dtype and a shape, in host memory or on the device that computed them.

use girih_base::{DType, Diag, Dim, Result};
use girih_exec::{Array, Session};
use girih_graph::TensorTy;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A tensor's value: row-major, little-endian, the last axis fastest; types below 8 bits packed, low bits first.
///
/// Results stay on their device until the host reads them, and host values that a program took stay on its device for the
/// next one.
#[derive(Clone)]
pub struct Data {
    dtype: DType,
    shape: Vec<usize>,
    storage: Arc<Storage>,
}

/// The bytes, in at least one of the two places.
#[derive(Default)]
struct Storage {
    host: OnceLock<Arc<[u8]>>,
    device: Mutex<Option<Array>>,
}

impl Storage {
    fn device(&self) -> MutexGuard<'_, Option<Array>> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Data {
    /// Wraps encoded elements; refuses a byte count that is not the one `dtype` and `shape` need.
    pub fn new(dtype: DType, shape: Vec<usize>, bytes: impl Into<Arc<[u8]>>) -> Result<Data> {
        let bytes = bytes.into();
        let want = shape
            .iter()
            .try_fold(1u64, |n, d| n.checked_mul(*d as u64))
            .filter(|n| n.checked_mul(u64::from(dtype.bits())).is_some())
            .map(|n| dtype.bytes_for(n));
        if want != Some(bytes.len() as u64) {
            let wanted = want.map_or("more bytes than can be counted".to_string(), |n| format!("{n} bytes"));
            return Err(Diag::error("T001", format!("{} bytes of data for {dtype}{shape:?}", bytes.len()))
                .note(format!("{dtype}{shape:?} takes {wanted}"))
                .help("pass as many elements as the shape has"));
        }
        let storage = Storage { host: OnceLock::from(bytes), ..Storage::default() };
        Ok(Data { dtype, shape, storage: Arc::new(storage) })
    }

    /// A result on its device.
    pub(crate) fn on_device(dtype: DType, shape: Vec<usize>, array: Array) -> Data {
        let storage = Storage { device: Mutex::new(Some(array)), ..Storage::default() };
        Data { dtype, shape, storage: Arc::new(storage) }
    }

    /// The value on a device, moved there if it is not.
    pub(crate) fn array(&self, session: &Session) -> Result<Array> {
        if let Some(array) = &*self.storage.device()
            && array.session().is(session)
        {
            return Ok(array.clone());
        }
        let bytes = self.bytes()?.clone();
        let range = 0..bytes.len();
        let array = session.adopt(Arc::new(bytes), range)?;
        *self.storage.device() = Some(array.clone());
        Ok(array)
    }

    /// Encodes host values.
    pub fn from_slice<T: Element>(values: &[T], shape: &[usize]) -> Result<Data> {
        let mut bytes = Vec::with_capacity(std::mem::size_of_val(values));
        values.iter().for_each(|v| v.put(&mut bytes));
        Data::new(T::DTYPE, shape.to_vec(), bytes)
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extent of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The encoded elements, read from the device if they are only there.
    ///
    /// # Errors
    /// What the device reports of the work that should have computed them.
    pub fn bytes(&self) -> Result<&Arc<[u8]>> {
        if let Some(bytes) = self.storage.host.get() {
            return Ok(bytes);
        }
        let array = self.storage.device().clone();
        let bytes = array.map_or(Ok(Vec::new()), |array| array.read())?;
        Ok(self.storage.host.get_or_init(|| bytes.into()))
    }

    /// The type that graphs know this value by.
    pub fn ty(&self) -> TensorTy {
        TensorTy { dtype: self.dtype, shape: self.shape.iter().map(|d| Dim::from(*d)).collect() }
    }

    /// Decodes the elements; the dtype must be exactly `T`'s.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if self.dtype != T::DTYPE {
            return Err(Diag::error("T002", format!("a tensor of {} was read as {}", self.dtype, T::DTYPE))
                .help(format!("read it as {0}, or convert it first: `.cast(DType::{1:?})`", self.dtype, T::DTYPE)));
        }
        Ok(self.bytes()?.chunks_exact(T::SIZE).map(T::get).collect())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({}{:?})", self.dtype, self.shape)
    }
}

/// A Rust type that is some dtype's host form.
pub trait Element: Copy + Send + Sync + 'static {
    /// The dtype.
    const DTYPE: DType;
    /// Bytes of one element in memory.
    const SIZE: usize;
    /// Decodes one element from exactly [`Element::SIZE`] bytes.
    fn get(bytes: &[u8]) -> Self;
    /// Appends the encoded element.
    fn put(self, out: &mut Vec<u8>);
}

macro_rules! elements {
    ($($t:ty: $dtype:ident,)*) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$dtype;
            const SIZE: usize = size_of::<$t>();
            fn get(bytes: &[u8]) -> $t {
                let mut raw = [0; size_of::<$t>()];
                raw.copy_from_slice(bytes);
                <$t>::from_le_bytes(raw)
            }
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

elements! {
    i8: I8, u8: U8, i16: I16, u16: U16, i32: I32, u32: U32, i64: I64, u64: U64,
    f32: F32, f64: F64, half::f16: F16, half::bf16: Bf16,
}

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    const SIZE: usize = 1;
    fn get(bytes: &[u8]) -> bool {
        bytes[0] != 0
    }
    fn put(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
}
