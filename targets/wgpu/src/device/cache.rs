//! Compiled pipelines on disk, for backends that hand them out.

use crate::target::fnv1a;
use std::io::Write;
use std::path::{Path, PathBuf};

/// First bytes of a cache file; the number is the version of the format.
const MAGIC: &[u8; 8] = b"GIRIHPC1";

/// A pipeline cache and the file it goes to.
pub struct CacheFile {
    /// To be named when pipelines are made.
    pub cache: wgpu::PipelineCache,
    path: PathBuf,
    key: u64,
}

impl CacheFile {
    /// Opens the file of this adapter in `dir`. One that cannot be used is ignored with a note.
    pub fn open(
        device: &wgpu::Device,
        info: &wgpu::AdapterInfo,
        features: wgpu::Features,
        dir: Option<&Path>,
        notes: &mut Vec<String>,
    ) -> Option<CacheFile> {
        let dir = dir.filter(|_| features.contains(wgpu::Features::PIPELINE_CACHE))?;
        let key = fnv1a(format!("{} {info:?} {features:?}", env!("CARGO_PKG_VERSION")).as_bytes());
        let path = dir.join(format!("{}.bin", wgpu::util::pipeline_cache_key(info)?));
        let data = match std::fs::read(&path) {
            Ok(bytes) => {
                let data = unwrap(&bytes, key).map(<[u8]>::to_vec);
                if data.is_none() {
                    notes.push(format!("{} is damaged or of another version and was ignored", path.display()));
                }
                data
            }
            Err(_) => None,
        };
        Some(CacheFile { cache: create(device, data.as_deref()), path, key })
    }

    /// Writes the file whole or not at all; a cache that cannot be written is only slower next time.
    pub fn save(&self) {
        let Some(data) = self.cache.get_data().filter(|d| !d.is_empty()) else { return };
        let Some(dir) = self.path.parent() else { return };
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(dir)?;
            let mut file = tempfile::NamedTempFile::new_in(dir)?;
            file.write_all(&wrap(&data, self.key))?;
            file.persist(&self.path).map(|_| ()).map_err(|e| e.error)
        };
        write().unwrap_or_default();
    }
}

fn wrap(data: &[u8], key: u64) -> Vec<u8> {
    [&MAGIC[..], &key.to_le_bytes(), &fnv1a(data).to_le_bytes(), data].concat()
}

fn unwrap(bytes: &[u8], key: u64) -> Option<&[u8]> {
    let (head, data) = bytes.split_at_checked(24)?;
    let good = head[..8] == MAGIC[..] && head[8..16] == key.to_le_bytes() && head[16..] == fnv1a(data).to_le_bytes();
    good.then_some(data)
}

#[allow(unsafe_code)]
fn create(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let desc = wgpu::PipelineCacheDescriptor { label: None, data, fallback: true };
    // SAFETY: the data came from `get_data` of the same version and adapter: the file's key and checksum were compared.
    unsafe { device.create_pipeline_cache(&desc) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_noticed() {
        let file = wrap(b"pipelines", 7);
        assert_eq!(unwrap(&file, 7), Some(&b"pipelines"[..]));
        assert_eq!(unwrap(&file, 8), None, "another adapter");
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert_eq!(unwrap(&damaged, 7), None, "byte {at}");
            assert_eq!(unwrap(&file[..at], 7), None, "cut at {at}");
        }
    }
}
