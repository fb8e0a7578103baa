// In place of gloo's own: what libtorch's header uses of it.
#pragma once

#include <chrono>

namespace gloo {

class Context {
   public:
    void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
