// Turns exceptions into texts: none may reach the program, which is not C++.

#pragma once

#include <exception>
#include <string>

#include <c10/util/Exception.h>

// Null, or an error's text that is valid until the thread's next call.
template <typename Body>
const char* guarded(Body body) noexcept {
    thread_local std::string message;
    try {
        body();
        return nullptr;
    } catch (const c10::Error& error) {
        message = error.what_without_backtrace();
    } catch (const std::exception& error) {
        message = error.what();
    } catch (...) {
        message = "unknown error";
    }
    return message.c_str();
}
