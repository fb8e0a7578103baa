// In place of gloo's own: libtorch's header holds these behind shared_ptr alone.
#pragma once

#include <memory>

namespace gloo {
namespace transport {

class Device;

class UnboundBuffer {
   public:
    virtual ~UnboundBuffer();
};

}  // namespace transport
}  // namespace gloo
