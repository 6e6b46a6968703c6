//! The GGUF container: header, metadata, tensor directory, tensor data.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian. The whole
//! directory is checked when the file is opened, so that later reads cannot fail: every byte range lies inside the
//! file, no two tensors overlap, no name occurs twice. Nothing is allocated from a count that the file cannot hold.

use crate::cursor::Cursor;
use crate::meta::Meta;
use crate::tensor::{self, TensorInfo};
use girih_base::{Diag, Result};
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// An opened GGUF file. Cheap to clone; the bytes stay mapped while any clone lives.
#[derive(Clone, Debug)]
pub struct Gguf {
    bytes: Bytes,
    version: u32,
    meta: Arc<Meta>,
    tensors: Arc<Vec<TensorInfo>>,
    by_name: Arc<BTreeMap<String, usize>>,
}

/// The bytes of a file: mapped, or in memory.
#[derive(Clone)]
pub(crate) enum Bytes {
    Mapped(Arc<Mmap>),
    Memory(Arc<[u8]>),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

impl Bytes {
    #[cfg(unix)]
    #[allow(unsafe_code)]
    fn release(&self) {
        if let Bytes::Mapped(map) = self {
            // SAFETY: the advice drops changes to private pages, and a read-only map has none: every page comes back from the
            // file as it was. That the system may refuse the advice changes nothing.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    #[cfg(not(unix))]
    fn release(&self) {}
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Gguf {
    /// Maps the file at `path` and checks it.
    pub fn open(path: impl AsRef<Path>) -> Result<Gguf> {
        let path = path.as_ref();
        let fail = |what: &str, e: std::io::Error| {
            Diag::error("M001", format!("cannot {what} `{}`: {e}", path.display()))
                .help("check that the path names a readable GGUF file")
        };
        let file = File::open(path).map_err(|e| fail("open", e))?;
        let length = file.metadata().map_err(|e| fail("read", e))?;
        if !length.is_file() {
            return Err(Diag::error("M001", format!("`{}` is not a file", path.display()))
                .help("name the .gguf file itself, not its folder"));
        }
        let bytes = match length.len() {
            // An empty file cannot be mapped; the header check gives the right error for it.
            0 => Bytes::Memory(Arc::from([])),
            _ => Bytes::Mapped(Arc::new(map(&file).map_err(|e| fail("map", e))?)),
        };
        Gguf::parse(bytes).map_err(|e| e.note(format!("while reading `{}`", path.display())))
    }

    /// Reads a file that is in memory already.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Result<Gguf> {
        Gguf::parse(Bytes::Memory(bytes.into()))
    }

    fn parse(bytes: Bytes) -> Result<Gguf> {
        let mut cursor = Cursor::new(&bytes, 0);
        let version = header(&mut cursor)?;
        // A tensor entry takes at least 24 bytes (name length, rank, type, offset), a metadata entry at least 13.
        let tensor_count = cursor.count(24, "the number of tensors")?;
        let meta_count = cursor.count(13, "the number of metadata entries")?;
        let meta = Meta::parse(&mut cursor, bytes.clone(), meta_count)?;
        let (tensors, by_name) = tensor::directory(&mut cursor, tensor_count, meta.alignment()?, bytes.len())?;
        let (meta, tensors, by_name) = (Arc::new(meta), Arc::new(tensors), Arc::new(by_name));
        Ok(Gguf { bytes, version, meta, tensors, by_name })
    }

    /// Version of the container format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The typed key-value pairs.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The tensor directory, in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of that name, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|i| &self.tensors[*i])
    }

    /// The encoded elements of a tensor of this file, straight from the map.
    pub fn bytes(&self, tensor: &TensorInfo) -> &[u8] {
        // The range was checked when this file was opened; of another file's tensor nothing is known.
        self.bytes.get(tensor.range.clone()).unwrap_or(&[])
    }

    /// Lets the system take back the memory behind the map; what is read again later comes from its file cache. Worth calling
    /// after something has gone through weights that will not be needed in this form again.
    pub fn release(&self) {
        self.bytes.release();
    }

    /// Size of the file in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the file has no bytes (never: such a file is refused).
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// The whole file, so that a device can use weights where they are mapped.
impl AsRef<[u8]> for Gguf {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is read-only and private to this process. The one thing the type system cannot rule out is
    // another process truncating or rewriting the file while it is mapped; that is the documented contract of every
    // program that maps model files, and all offsets are checked against the length that was mapped.
    unsafe { Mmap::map(file) }
}

/// Checks magic and version; gives the version.
fn header(cursor: &mut Cursor<'_>) -> Result<u32> {
    let magic = cursor.u32("the magic number")?.to_le_bytes();
    if &magic != b"GGUF" {
        let mut diag = Diag::error("M002", "this is not a GGUF file")
            .note(format!("it starts with the bytes {magic:02x?}, a GGUF file starts with \"GGUF\""));
        diag = match &magic {
            b"ggml" | b"ggmf" | b"ggjt" | b"lmgg" | b"fmgg" | b"tjgg" => {
                diag.help("this is a GGML file from before August 2023; convert it with llama.cpp's conversion script")
            }
            b"vers" => diag.help("this is a Git LFS pointer, not the file itself; run `git lfs pull`"),
            b"PK\x03\x04" => {
                diag.help("this is a zip archive (a PyTorch checkpoint or a wheel); unpack or convert it first")
            }
            _ => diag.help("give the path of a .gguf file"),
        };
        return Err(diag);
    }
    let version = cursor.u32("the format version")?;
    match version {
        2 | 3 => Ok(version),
        1 => Err(Diag::error("M003", "GGUF version 1 is not supported")
            .help("convert the model again: version 2 replaced it in August 2023")),
        v if matches!(v.swap_bytes(), 1..=3) => Err(Diag::error("M003", "this is a big-endian GGUF file")
            .help("convert it with gguf-py's gguf_convert_endian, or use the little-endian file")),
        v => Err(Diag::error("M003", format!("unknown GGUF version {v}"))
            .note("the version is at byte 4; versions 2 and 3 are supported")
            .help("the file is newer than this program, or damaged")),
    }
}
