//! ONNX Runtime, which runs the models. Its library lies beside them and is loaded once a process.

use std::path::{self, Path};

use ort::environment::Environment;
use ort::ep;
use ort::session::Session;
use ort::value::Tensor;
use parking_lot::Mutex;

use super::VisionError;

/// The name that the set-up gives the library.
pub(super) const LIBRARY_FILE: &str = if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};

/// The library's environment. A process can have only one, whatever folder it comes from.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// Loads the library, or gives what was loaded before.
///
/// It is loaded from exactly this path. One that is relative would first be looked for beside the
/// program, where nobody has checked what is there.
pub(super) fn environment(library: &Path) -> Result<Environment, VisionError> {
    let mut environment = ENVIRONMENT.lock();
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    let unusable = |error: &dyn std::error::Error| VisionError::Unusable {
        path: library.to_owned(),
        why: error.to_string(),
    };
    let absolute = path::absolute(library).map_err(|error| unusable(&error))?;
    let builder = ort::init_from(absolute).map_err(|error| unusable(&error))?;
    let made = builder
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(&error))?;
    Ok(environment.insert(made).clone())
}

/// A model that is ready to run.
pub(super) struct Network {
    /// A run changes the session, so one goes on at a time.
    session: Mutex<Session>,
}

impl Network {
    /// Prepares the model in these bytes.
    pub(super) fn new(environment: &Environment, model: &[u8]) -> ort::Result<Self> {
        // A run computes on the thread that calls it, which has a low priority: no threads of the
        // library's own compete with those that answer requests.
        let session = Session::builder(environment)?
            .with_intra_threads(1)?
            // The library plans the intermediate results of a run into one block of memory, which
            // ends with the run. A pool for each model would keep 14 MB for no less time, and
            // without the plan each result would be a mapping of its own (see
            // `runtime::allocator`), which takes a third more time.
            .with_memory_pattern(true)?
            .with_execution_providers([ep::CPU::default().with_arena_allocator(false).build()])?
            .with_config_entry("session.use_device_allocator_for_initializers", "1")?
            .commit_from_memory(model)?;
        Ok(Self {
            session: Mutex::new(session),
        })
    }

    /// Runs the model on one input of this shape, and gives its outputs in their order.
    pub(super) fn run(&self, shape: [usize; 4], input: Vec<f32>) -> ort::Result<Vec<Vec<f32>>> {
        let input = Tensor::from_array((shape, input))?;
        let mut session = self.session.lock();
        let outputs = session.run(ort::inputs![input])?;
        outputs
            .values()
            .map(|output| Ok(output.try_extract_tensor::<f32>()?.1.to_vec()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    #[test]
    fn a_library_beside_the_program_is_not_taken_for_the_one_that_was_checked() {
        let program = env::current_exe().unwrap();
        let beside = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
        fs::write(beside.path().join(LIBRARY_FILE), "not checked").unwrap();
        let relative = Path::new(beside.path().file_name().unwrap()).join(LIBRARY_FILE);
        let problem = environment(&relative).err().unwrap().to_string();
        let checked = path::absolute(&relative).unwrap();
        assert!(
            problem.contains(&checked.display().to_string()),
            "{problem}"
        );
    }
}
