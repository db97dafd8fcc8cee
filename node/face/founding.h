// Founding a run through the public face. Loop thread only.
#pragma once

#include <memory>
#include <string>

#include "node/face/loop.h"

namespace testudo::face {

// Signs, keeps and publishes it; its run id. Without bootstrap nodes join() publishes it.
net::Task<Result<std::string>> found_run(Core& core, std::shared_ptr<LoopHandle> loop, RunOptions options,
                                         std::shared_ptr<testudo::Model> model);

}  // namespace testudo::face
