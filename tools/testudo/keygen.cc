// testudo keygen: makes an identity.

#include <filesystem>
#include <memory>

#include "crypto/rng.h"
#include "node/data_directory.h"
#include "tools/testudo/commands.h"

namespace testudo::tools {
namespace {

struct KeygenOptions {
  std::string data = node::default_data_directory();
  std::string out;
};

void say_identity(const crypto::KeyPair& key, const std::string& path, bool was_there, Output& output) {
  const std::string peer = key.peer_id().to_text();
  output.say({{"event", "identity"}, {"peer", peer}, {"file", path}, {"kept", was_there}}, peer);
}

// What lies there already stays. Whose it is is what most people want who ask twice; still, nothing was made.
Result<void> keep(const std::string& path, Output& output) {
  constexpr const char* choice = "choose another place, or move the file away";
  const auto key = crypto::KeyPair::load(path);
  if (!key)
    return fail(ErrorCode::refused, path + " is there already and was kept, and is no identity: " +
                                        key.error().message + "; " + choice);
  say_identity(*key, path, true, output);
  return fail(
      ErrorCode::refused,
      path + " is there already and was kept: it is the identity " + key->peer_id().to_text() +
          "; none is ever overwritten, for its peer id and all standing would be lost; for a new one " +
          choice);
}

Result<void> keygen(const KeygenOptions& options, Output& output) {
  std::string path = options.out;
  std::optional<node::DataDirectory> directory;
  if (path.empty()) {
    auto opened = node::DataDirectory::open(options.data);
    if (!opened) return fail(std::move(opened).error());
    directory.emplace(std::move(*opened));
    path = directory->file("identity.key");
  }
  std::error_code error;
  // symlink_status: a dangling link is something that lies there, too.
  const auto there = std::filesystem::symlink_status(path, error);
  if (there.type() != std::filesystem::file_type::not_found) return keep(path, output);
  crypto::SystemRng rng;
  const crypto::KeyPair key = crypto::KeyPair::generate(rng);
  TRY_VOID(key.save(path));
  say_identity(key, path, false, output);
  return {};
}

}  // namespace

void add_keygen(Program& program) {
  auto options = std::make_shared<KeygenOptions>();
  CLI::App* command = program.add(
      "keygen", "Make an identity and print its peer id",
      R"(The key is written with mode 0600 and never overwritten: where one lies already its peer id is printed, it is kept, and
the exit code is 1. join, bootstrap and run new make one by themselves when the
data directory has none; keygen is for knowing the peer id beforehand, to name somebody as a founder.

Example:  testudo keygen --data ~/swarm/alice
Next:     testudo run new --founder 12D3Koo... (with the id printed here))",
      [options](Output& output) { return keygen(*options, output); });
  auto* data = command->add_option("--data", options->data, "Data directory that gets identity.key")
                   ->capture_default_str();
  command->add_option("--out", options->out, "Write the key to this file instead")->excludes(data);
}

}  // namespace testudo::tools
