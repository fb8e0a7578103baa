// Sums over several processes by libtorch's own c10d: a TCPStore, at which they meet, and a ProcessGroupGloo.
//
// Part of the program itself, since libtorch_cpu.so has all of it. Its headers want five of gloo's, which libtorch's
// wheel lacks; `gloo/` has what is used of them. Every function returns null, or an error's text that is valid until the
// thread's next call; no exception crosses it.

#define USE_C10D_GLOO

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "guarded.h"

namespace {

using c10d::ProcessGroupGloo;

// Handed to the caller as pointers, so that each has one owner.
struct Store {
    c10::intrusive_ptr<c10d::TCPStore> store;
};

struct Group {
    c10::intrusive_ptr<ProcessGroupGloo> group;
};

}  // namespace

// The store at `host`:`port`, which this process serves if `serves`: on all its addresses, or on the socket `listener`,
// which is bound to the port and belongs to the store from then on; -1 for none.
extern "C" const char* leitmotif_store_open(const char* host, int64_t port, bool serves, int64_t listener,
                                            int64_t milliseconds, Store** store) noexcept {
    return guarded([&] {
        // It would log whatever it throws, with a back trace.
        FLAGS_caffe2_log_level = c10::GLOG_FATAL;
        c10d::TCPStoreOptions options;
        options.port = static_cast<std::uint16_t>(port);
        options.isServer = serves;
        options.waitWorkers = false;
        options.timeout = std::chrono::milliseconds(milliseconds);
        if (listener >= 0) options.masterListenFd = static_cast<int>(listener);
        auto opened = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
        *store = new Store{std::move(opened)};
    });
}

extern "C" const char* leitmotif_store_set(Store* store, const char* key, const uint8_t* value, int64_t size) noexcept {
    return guarded([&] { store->store->set(key, std::vector<uint8_t>(value, value + size)); });
}

// Whether there is a value, at `value` and valid until this thread's next call.
extern "C" const char* leitmotif_store_get(Store* store, const char* key, bool* there, const uint8_t** value,
                                           int64_t* size) noexcept {
    thread_local std::vector<uint8_t> found;
    return guarded([&] {
        *there = store->store->check({key});
        if (*there) {
            found = store->store->get(key);
            *value = found.data();
            *size = static_cast<int64_t>(found.size());
        }
    });
}

// Adds to a number that begins with zero, and returns it.
extern "C" const char* leitmotif_store_add(Store* store, const char* key, int64_t value, int64_t* sum) noexcept {
    return guarded([&] { *sum = store->store->add(key, value); });
}

extern "C" void leitmotif_store_free(Store* store) noexcept {
    guarded([&] { delete store; });
}

// Waits for all processes. `host` is this one's address by which the others reach it, or the name of its network
// interface if `names_interface`.
extern "C" const char* leitmotif_group_open(Store* store, const char* prefix, int64_t rank, int64_t size,
                                            const char* host, bool names_interface, int64_t milliseconds,
                                            Group** group) noexcept {
    return guarded([&] {
        auto options = ProcessGroupGloo::Options::create(std::chrono::milliseconds(milliseconds));
        options->devices.push_back(names_interface ? ProcessGroupGloo::createDeviceForInterface(host)
                                                   : ProcessGroupGloo::createDeviceForHostname(host));
        auto prefixed = c10::make_intrusive<c10d::PrefixStore>(prefix, store->store);
        *group = new Group{c10::make_intrusive<ProcessGroupGloo>(prefixed, static_cast<int>(rank),
                                                                 static_cast<int>(size), options)};
    });
}

// The sum over all processes, in place.
extern "C" const char* leitmotif_group_sum(Group* group, const at::Tensor* values) noexcept {
    return guarded([&] {
        std::vector<at::Tensor> tensors{*values};
        group->group->allreduce(tensors)->wait();
    });
}

// The values of the process `root`, in place.
extern "C" const char* leitmotif_group_broadcast(Group* group, const at::Tensor* values, int64_t root) noexcept {
    return guarded([&] {
        std::vector<at::Tensor> tensors{*values};
        c10d::BroadcastOptions options;
        options.rootRank = root;
        group->group->broadcast(tensors, options)->wait();
    });
}

extern "C" void leitmotif_group_free(Group* group) noexcept {
    guarded([&] { delete group; });
}
