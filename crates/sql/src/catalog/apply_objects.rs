//! Operations on functions, models and modules.

use std::collections::BTreeMap;

use millstream_plan::ObjectIdentifier;
use millstream_types::ErrorCode;

use super::apply::{quoted, unless};
use super::object::{Model, UserFunction};
use super::operation::{CatalogOperation, FunctionName};
use super::{CORE_MODULE, Catalogs, Module};
use crate::bind::error::{SqlError, SqlResult};

impl Catalogs {
    pub(super) fn apply_to_object(&mut self, operation: CatalogOperation) -> SqlResult<()> {
        use CatalogOperation as Op;
        match operation {
            Op::CreateFunction {
                name,
                function,
                if_not_exists,
            } => self.create_function(name, function, if_not_exists),
            Op::AlterFunction {
                name,
                function,
                if_exists,
            } => self.alter_function(name, function, if_exists),
            Op::DropFunction { name, if_exists } => self.drop_function(&name, if_exists),
            Op::CreateModel {
                identifier,
                model,
                temporary,
                if_not_exists,
            } => self.create_model(identifier, model, temporary, if_not_exists),
            Op::AlterModel { identifier, options } => {
                self.models_mut(&identifier)?.options = options;
                Ok(())
            }
            Op::RenameModel { identifier, to } => self.rename_model(&identifier, to),
            Op::DropModel {
                identifier,
                temporary,
                if_exists,
            } => self.drop_model(&identifier, temporary, if_exists),
            Op::LoadModule { name } => self.load_module(name),
            Op::UnloadModule { name } => self.unload_module(&name),
            Op::UseModules { names } => self.use_modules(&names),
            other => Err(SqlError::internal(format!(
                "{other:?} is not an operation on a function, model or module"
            ))),
        }
    }

    fn create_function(&mut self, name: FunctionName, function: UserFunction, quiet: bool) -> SqlResult<()> {
        let exists = |held: bool, text: String| held.then_some(text);
        let taken = match &name {
            FunctionName::Permanent(id) => {
                let database = self.require_database(&id.catalog, &id.database)?;
                exists(database.functions.contains_key(&id.name), id.to_string())
            }
            FunctionName::Temporary(id) => exists(self.temporary_functions.contains_key(id), id.to_string()),
            FunctionName::TemporarySystem(f) => exists(
                self.temporary_system_functions.contains_key(&f.to_lowercase()),
                f.clone(),
            ),
        };
        if let Some(text) = taken {
            return unless(quiet, ErrorCode::AlreadyExists, || {
                format!("function {text} already exists")
            });
        }
        self.put_function(name, function)
    }

    fn alter_function(
        &mut self,
        name: FunctionName,
        function: UserFunction,
        if_exists: bool,
    ) -> SqlResult<()> {
        let FunctionName::Permanent(id) = &name else {
            return Err(SqlError::new(
                "alter temporary function is not supported; drop it and create it again",
            ));
        };
        let known = self
            .require_database(&id.catalog, &id.database)?
            .functions
            .contains_key(&id.name);
        if !known {
            return unless(if_exists, ErrorCode::UnknownFunction, || {
                format!("function {id} does not exist")
            });
        }
        self.put_function(name, function)
    }

    fn put_function(&mut self, name: FunctionName, function: UserFunction) -> SqlResult<()> {
        match name {
            FunctionName::Permanent(id) => {
                self.database_mut(&id.catalog, &id.database)?
                    .functions
                    .insert(id.name, function);
            }
            FunctionName::Temporary(id) => {
                self.temporary_functions.insert(id, function);
            }
            FunctionName::TemporarySystem(name) => {
                self.temporary_system_functions
                    .insert(name.to_lowercase(), function);
            }
        }
        Ok(())
    }

    fn drop_function(&mut self, name: &FunctionName, if_exists: bool) -> SqlResult<()> {
        let (dropped, text) = match name {
            FunctionName::Permanent(id) => {
                let database = self.database_mut(&id.catalog, &id.database)?;
                (database.functions.remove(&id.name), id.to_string())
            }
            FunctionName::Temporary(id) => (self.temporary_functions.remove(id), id.to_string()),
            FunctionName::TemporarySystem(name) => (
                self.temporary_system_functions.remove(&name.to_lowercase()),
                name.clone(),
            ),
        };
        if dropped.is_some() {
            Ok(())
        } else {
            unless(if_exists, ErrorCode::UnknownFunction, || match name {
                FunctionName::Permanent(_) => format!("function {text} does not exist"),
                FunctionName::Temporary(_) => format!("Temporary catalog function {text} doesn't exist"),
                FunctionName::TemporarySystem(_) => {
                    format!(
                        "could not drop temporary system function: a function named '{text}' doesn't exist"
                    )
                }
            })
        }
    }

    fn create_model(
        &mut self,
        id: ObjectIdentifier,
        model: Model,
        temporary: bool,
        quiet: bool,
    ) -> SqlResult<()> {
        let models: &mut BTreeMap<_, _> = if temporary {
            if self.temporary_models.contains_key(&id) {
                return unless(quiet, ErrorCode::AlreadyExists, || {
                    format!("temporary model {} already exists", quoted(&id))
                });
            }
            self.temporary_models.insert(id, model);
            return Ok(());
        } else {
            &mut self.database_mut(&id.catalog, &id.database)?.models
        };
        if models.contains_key(&id.name) {
            return unless(quiet, ErrorCode::AlreadyExists, || {
                format!("model {id} already exists in catalog {}", id.catalog)
            });
        }
        models.insert(id.name, model);
        Ok(())
    }

    fn models_mut(&mut self, id: &ObjectIdentifier) -> SqlResult<&mut Model> {
        if self.temporary_models.contains_key(id) {
            let model = self.temporary_models.get_mut(id);
            return model.ok_or_else(|| SqlError::internal("model vanished"));
        }
        let models = &mut self.database_mut(&id.catalog, &id.database)?.models;
        models.get_mut(&id.name).ok_or_else(|| {
            SqlError::new(format!("model {} doesn't exist", quoted(id))).with_code(ErrorCode::UnknownObject)
        })
    }

    fn rename_model(&mut self, id: &ObjectIdentifier, to: String) -> SqlResult<()> {
        let models = &mut self.database_mut(&id.catalog, &id.database)?.models;
        if models.contains_key(&to) {
            return Err(
                SqlError::new(format!("model '{to}' already exists in catalog {}", id.catalog))
                    .with_code(ErrorCode::AlreadyExists),
            );
        }
        let model = models.remove(&id.name);
        let model = model.ok_or_else(|| {
            SqlError::new(format!("model {} doesn't exist", quoted(id))).with_code(ErrorCode::UnknownObject)
        })?;
        models.insert(to, model);
        Ok(())
    }

    fn drop_model(&mut self, id: &ObjectIdentifier, temporary: bool, if_exists: bool) -> SqlResult<()> {
        let dropped = if temporary {
            self.temporary_models.remove(id)
        } else {
            self.database_mut(&id.catalog, &id.database)?
                .models
                .remove(&id.name)
        };
        if dropped.is_some() {
            return Ok(());
        }
        unless(if_exists, ErrorCode::UnknownObject, || {
            format!("model with identifier {} does not exist", quoted(id))
        })
    }

    fn load_module(&mut self, name: String) -> SqlResult<()> {
        if self.modules.iter().any(|m| m.name == name) {
            return Err(
                SqlError::new(format!("a module with name '{name}' already exists"))
                    .with_code(ErrorCode::AlreadyExists),
            );
        }
        if name != CORE_MODULE {
            return Err(SqlError::new(format!(
                "no module '{name}' is built in; known modules: {CORE_MODULE}"
            ))
            .with_code(ErrorCode::UnknownObject));
        }
        let place = self.modules.iter().filter(|m| m.used).count();
        self.modules.insert(place, Module { name, used: true });
        Ok(())
    }

    fn unload_module(&mut self, name: &str) -> SqlResult<()> {
        self.require_module(name)?;
        self.modules.retain(|m| m.name != name);
        Ok(())
    }

    fn use_modules(&mut self, names: &[String]) -> SqlResult<()> {
        for (i, name) in names.iter().enumerate() {
            self.require_module(name)?;
            if names[..i].contains(name) {
                return Err(SqlError::new(format!("module '{name}' appears more than once"))
                    .with_code(ErrorCode::DuplicateName));
            }
        }
        let used = names.iter().map(|name| Module {
            name: name.clone(),
            used: true,
        });
        let unused = self
            .modules
            .iter()
            .filter(|m| !names.contains(&m.name))
            .map(|m| Module {
                used: false,
                ..m.clone()
            });
        self.modules = used.chain(unused).collect();
        Ok(())
    }

    fn require_module(&self, name: &str) -> SqlResult<()> {
        if self.modules.iter().any(|m| m.name == name) {
            return Ok(());
        }
        Err(SqlError::new(format!("no module with name '{name}' exists")).with_code(ErrorCode::UnknownObject))
    }
}
