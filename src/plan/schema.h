#pragma once

#include <map>
#include <string>

#include "core/json.h"

namespace samner::plan {

/// JSON Schemas (draft 7, which the YAML language servers of editors read) of the files that users write, by their
/// names in configs/schemas: made from the tables that reading and checking use. What a schema accepts may still be
/// refused by the program, which also knows names, files and expressions; what the program accepts the schema accepts.
std::map<std::string, Json> schemas();

/// A schema as its file has it.
std::string schema_text(Json const& schema);

}  // namespace samner::plan
