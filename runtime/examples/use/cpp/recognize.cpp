// Names the artist of a recording with a file of leitmotif-export and ONNX Runtime's C++ interface.
//
//     g++ -std=c++17 -O2 -I ONNXRUNTIME/include recognize.cpp -L ONNXRUNTIME/lib -lonnxruntime -o recognize
//
// where ONNXRUNTIME is the release for C and C++ (onnxruntime-linux-x64-VERSION.tgz), and nlohmann's json is installed
// (Debian: nlohmann-json3-dev). A path on Windows is of wide characters.
//
//     recognize MODEL.onnx SONG.wav     16-bit mono at 16 kHz; MODEL.clip.onnx or MODEL.sequence.onnx
//     recognize MODEL.onnx --check      does this program compute what the trainer did?
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <onnxruntime_cxx_api.h>

namespace {

constexpr float kSilence = 1e-4f;

using Json = nlohmann::json;

std::uint32_t little_endian(const std::string& bytes, std::size_t at, std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= std::uint32_t(std::uint8_t(bytes.at(at + i))) << (8 * i);
    return value;
}

/// Samples in [-1, 1].
std::vector<float> read_wav(const std::string& path, std::uint32_t rate) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path + ": cannot be opened");
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (bytes.size() < 12 || bytes.compare(0, 4, "RIFF") != 0 || bytes.compare(8, 4, "WAVE") != 0)
        throw std::runtime_error(path + ": no WAV file");
    bool fits = false;
    for (std::size_t at = 12; at + 8 <= bytes.size();) {
        const std::string name = bytes.substr(at, 4);
        const std::size_t size = little_endian(bytes, at + 4, 4), body = at + 8;
        if (name == "fmt " && body + 16 <= bytes.size())
            fits = little_endian(bytes, body, 2) == 1 && little_endian(bytes, body + 2, 2) == 1 &&
                   little_endian(bytes, body + 4, 4) == rate && little_endian(bytes, body + 14, 2) == 16;
        if (name == "data") {
            const std::string hertz = std::to_string(rate);
            if (!fits)
                throw std::runtime_error(path + ": not 16-bit mono at " + hertz + " Hz; convert it: ffmpeg -i SONG -ac 1 -af aresample=" +
                                         hertz + ":filter_size=128:cutoff=0.99 -c:a pcm_s16le SONG.wav");
            std::vector<float> samples(std::min(size, bytes.size() - body) / 2);
            for (std::size_t i = 0; i < samples.size(); ++i)
                samples[i] = float(std::int16_t(little_endian(bytes, body + 2 * i, 2))) / 32768.0f;
            return samples;
        }
        at = body + size + size % 2;
    }
    throw std::runtime_error(path + ": a WAV file without samples");
}

/// The noise that a card describes by a seed and a length.
std::vector<float> golden_input(std::uint32_t seed, std::size_t samples) {
    std::vector<float> values(samples);
    for (float& value : values) {
        seed = 1664525u * seed + 1013904223u;
        value = float(0.1 * double(std::int32_t(seed)) / 2147483648.0);
    }
    return values;
}

/// The segments of each call, as ranges: of an LSTM a window, of a dense head as many as fit into memory.
std::vector<std::pair<std::size_t, std::size_t>> calls(const Json& card, std::size_t segments) {
    const bool is_lstm = card.at("graph") == "sequence";
    const std::size_t length = card.at("segment_samples"), hop = card.at("hop_samples");
    const auto most = std::size_t(card.at("max_seconds_per_call").get<double>() * card.at("sample_rate").get<double>());
    const std::size_t fitting = most < length ? 1 : (most - length) / hop + 1;
    const std::size_t step = is_lstm ? card.at("window_segments").get<std::size_t>() : fitting;
    std::vector<std::pair<std::size_t, std::size_t>> ranges;
    for (std::size_t start = 0; start < segments; start += step) {
        const std::size_t end = std::min(start + step, segments);
        // A window that is not half full counts only if it is the only one.
        if (!is_lstm || start == 0 || 2 * (end - start) >= step) ranges.emplace_back(start, end);
    }
    return ranges;
}

struct Answer {
    std::vector<double> probabilities;
    double certainty = 0.0;
};

/// The network's own probabilities of the artists, and its certainty.
Answer recognize(Ort::Session& session, const Json& card, std::vector<float>& samples) {
    const std::size_t length = card.at("segment_samples"), hop = card.at("hop_samples"), classes = card.at("classes").size();
    if (samples.size() < length)
        throw std::runtime_error(std::to_string(samples.size()) + " samples are less than one segment of " + std::to_string(length));
    const char* input = "waveform";
    const char* output = card.at("graph") == "sequence" ? "probabilities" : "segment_probabilities";
    const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    Answer answer{std::vector<double>(classes, 0.0)};
    std::size_t rows = 0;
    for (const auto& [start, end] : calls(card, (samples.size() - length) / hop + 1)) {
        const std::size_t count = (end - 1 - start) * hop + length;
        const std::array<std::int64_t, 2> shape{1, std::int64_t(count)};
        Ort::Value part = Ort::Value::CreateTensor<float>(memory, samples.data() + start * hop, count, shape.data(), shape.size());
        auto found = session.Run(Ort::RunOptions{nullptr}, &input, &part, 1, &output, 1);
        const float* values = found.at(0).GetTensorData<float>();
        const std::size_t all = found.at(0).GetTensorTypeAndShapeInfo().GetElementCount();
        for (std::size_t at = 0; at + classes <= all; at += classes, ++rows) {
            for (std::size_t artist = 0; artist < classes; ++artist) answer.probabilities[artist] += values[at + artist];
            answer.certainty += *std::max_element(values + at, values + at + classes);
        }
    }
    for (double& p : answer.probabilities) p /= double(rows);
    answer.certainty /= double(rows);
    return answer;
}

bool check(Ort::Session& session, const Json& card) {
    const Json& golden = card.at("golden");
    const double tolerance = golden.at("tolerance");
    auto samples = golden_input(golden.at("input").at("seed"), golden.at("input").at("samples"));
    const Answer found = recognize(session, card, samples);
    double gap = 0.0;
    for (std::size_t artist = 0; artist < found.probabilities.size(); ++artist)
        gap = std::max(gap, std::abs(found.probabilities[artist] - golden.at("probabilities").at(artist).get<double>()));
    const bool passed = gap <= tolerance;
    std::printf("%s: largest difference to the golden answer %.1e, %.0e is allowed\n", passed ? "passed" : "failed", gap, tolerance);
    return passed;
}

void print_ranking(Answer answer, const Json& card, float peak) {
    auto& p = answer.probabilities;
    if (card.contains("confidence")) {
        const double largest = *std::max_element(p.begin(), p.end());
        const double temperature = card.at("confidence").at("temperature");
        for (double& value : p) value = std::pow(value / largest, 1.0 / temperature);
        const double sum = std::accumulate(p.begin(), p.end(), 0.0);
        for (double& value : p) value /= sum;
        if (answer.certainty < card.at("confidence").at("threshold").get<double>() || peak < kSilence)
            std::puts("none of these artists");
    }
    std::vector<std::size_t> ranking(p.size());
    std::iota(ranking.begin(), ranking.end(), std::size_t(0));
    std::stable_sort(ranking.begin(), ranking.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
    for (std::size_t artist : ranking)
        std::printf("%.6f  %s\n", p[artist], card.at("classes").at(artist).get<std::string>().c_str());
}

}  // namespace

int main(int count, char** arguments) try {
    if (count != 3) throw std::runtime_error("recognize MODEL.onnx SONG.wav|--check");
    const std::string model = arguments[1], song = arguments[2];
    Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "recognize");
    Ort::Session session(environment, model.c_str(), Ort::SessionOptions{});
    Ort::AllocatorWithDefaultOptions allocator;
    const auto text = session.GetModelMetadata().LookupCustomMetadataMapAllocated("leitmotif", allocator);
    const Json card = text ? Json::parse(text.get()) : Json::object();
    const std::string graph = card.value("graph", "");
    const bool other = card.value("embedding_only", false) || card.value("huggingface", false) || card.contains("fixed");
    if ((graph != "clip" && graph != "sequence") || other)
        throw std::runtime_error(model + ": no clip or sequence graph of leitmotif-export that takes recordings of any length");
    if (song == "--check") return check(session, card) ? 0 : 1;
    auto samples = read_wav(song, card.at("sample_rate"));
    float peak = 0.0f;
    for (float x : samples) peak = std::max(peak, std::abs(x));
    print_ranking(recognize(session, card, samples), card, peak);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
