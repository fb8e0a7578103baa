// Names the artist of a recording with a file of leitmotif-export and the package Microsoft.ML.OnnxRuntime.
//
//     dotnet run -- MODEL.onnx SONG.wav     16-bit mono at 16 kHz; MODEL.clip.onnx or MODEL.sequence.onnx
//     dotnet run -- MODEL.onnx --check      does this program compute what the trainer did?
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

const float Silence = 1e-4f;
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
try
{
    if (args.Length != 2) throw new InvalidDataException("MODEL.onnx SONG.wav|--check");
    var (model, song) = (args[0], args[1]);
    using var session = new InferenceSession(model);
    var text = session.ModelMetadata.CustomMetadataMap.GetValueOrDefault("leitmotif", "{}");
    using var document = JsonDocument.Parse(text);
    var root = document.RootElement;
    var graph = root.TryGetProperty("graph", out var kind) ? kind.GetString() : null;
    bool Has(string field) => root.TryGetProperty(field, out _);
    if (graph is not ("clip" or "sequence") || Has("embedding_only") || Has("huggingface") || Has("fixed"))
        throw new InvalidDataException($"{model}: no clip or sequence graph of leitmotif-export that takes recordings of any length");
    var card = new Card(root);

    if (song == "--check")
    {
        var golden = root.GetProperty("golden");
        var input = golden.GetProperty("input");
        var noise = GoldenInput(input.GetProperty("seed").GetUInt32(), input.GetProperty("samples").GetInt32());
        var found = Recognize(session, card, noise).Probabilities;
        var expected = golden.GetProperty("probabilities").EnumerateArray().Select(p => p.GetDouble());
        var gap = found.Zip(expected, (a, b) => Math.Abs(a - b)).Max();
        var tolerance = golden.GetProperty("tolerance").GetDouble();
        var verdict = gap <= tolerance ? "passed" : "failed";
        Console.WriteLine($"{verdict}: largest difference to the golden answer {gap:e1}, {tolerance:e0} is allowed");
        return gap <= tolerance ? 0 : 1;
    }

    var samples = ReadWav(song, card.SampleRate);
    var (probabilities, certainty) = Recognize(session, card, samples);
    if (root.TryGetProperty("confidence", out var confidence))
    {
        var (largest, temperature) = (probabilities.Max(), confidence.GetProperty("temperature").GetDouble());
        var powers = probabilities.Select(p => Math.Pow(p / largest, 1 / temperature)).ToArray();
        probabilities = powers.Select(power => power / powers.Sum()).ToArray();
        if (certainty < confidence.GetProperty("threshold").GetDouble() || samples.Max(Math.Abs) < Silence)
            Console.WriteLine("none of these artists");
    }
    foreach (var (p, artist) in probabilities.Zip(card.Classes).OrderByDescending(pair => pair.First))
        Console.WriteLine($"{p:F6}  {artist}");
    return 0;
}
catch (Exception error)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

// Samples in [-1, 1].
static float[] ReadWav(string path, int rate)
{
    var bytes = File.ReadAllBytes(path);
    string Name(int at) => Encoding.ASCII.GetString(bytes, at, 4);
    if (bytes.Length < 12 || Name(0) != "RIFF" || Name(8) != "WAVE") throw new InvalidDataException($"{path}: no WAV file");
    var fits = false;
    for (long at = 12; at + 8 <= bytes.Length;)
    {
        var (name, size, body) = (Name((int)at), BitConverter.ToUInt32(bytes, (int)at + 4), (int)at + 8);
        if (name == "fmt " && body + 16 <= bytes.Length)
            fits = BitConverter.ToInt16(bytes, body) == 1 && BitConverter.ToInt16(bytes, body + 2) == 1
                && BitConverter.ToInt32(bytes, body + 4) == rate && BitConverter.ToInt16(bytes, body + 14) == 16;
        if (name == "data")
        {
            if (!fits)
                throw new InvalidDataException(
                    $"{path}: not 16-bit mono at {rate} Hz; convert it: ffmpeg -i SONG -ac 1 "
                    + $"-af aresample={rate}:filter_size=128:cutoff=0.99 -c:a pcm_s16le SONG.wav");
            var samples = new float[Math.Min(size, bytes.Length - body) / 2];
            for (var i = 0; i < samples.Length; i++) samples[i] = BitConverter.ToInt16(bytes, body + 2 * i) / 32768f;
            return samples;
        }
        at = body + size + size % 2;
    }
    throw new InvalidDataException($"{path}: a WAV file without samples");
}

// The noise that a card describes by a seed and a length.
static float[] GoldenInput(uint seed, int samples)
{
    var values = new float[samples];
    for (var i = 0; i < samples; i++)
    {
        seed = unchecked(1664525 * seed + 1013904223);
        values[i] = (float)(0.1 * unchecked((int)seed) / 2147483648.0);
    }
    return values;
}

// The segments of each call, as ranges: of an LSTM a window, of a dense head as many as fit into memory.
static IEnumerable<(int Start, int End)> Calls(Card card, int segments)
{
    var step = card.IsLstm ? card.Window : Math.Max(1, (card.Most - card.Segment) / card.Hop + 1);
    for (var start = 0; start < segments; start += step)
    {
        var end = Math.Min(start + step, segments);
        // A window that is not half full counts only if it is the only one.
        if (!card.IsLstm || start == 0 || 2 * (end - start) >= step) yield return (start, end);
    }
}

// The network's own probabilities of the artists, and its certainty.
static (double[] Probabilities, double Certainty) Recognize(InferenceSession session, Card card, float[] samples)
{
    if (samples.Length < card.Segment)
        throw new InvalidDataException($"{samples.Length} samples are less than one segment of {card.Segment}");
    var output = card.IsLstm ? "probabilities" : "segment_probabilities";
    var sums = new double[card.Classes.Length];
    var (certainty, rows) = (0.0, 0);
    using var options = new RunOptions();
    foreach (var (start, end) in Calls(card, (samples.Length - card.Segment) / card.Hop + 1))
    {
        var count = (end - 1 - start) * card.Hop + card.Segment;
        var part = samples.AsSpan(start * card.Hop, count).ToArray();
        using var input = OrtValue.CreateTensorValueFromMemory(part, [1, count]);
        using var found = session.Run(options, ["waveform"], [input], [output]);
        var values = found[0].GetTensorDataAsSpan<float>();
        for (var at = 0; at < values.Length; at += sums.Length, rows++)
        {
            var largest = 0f;
            for (var artist = 0; artist < sums.Length; artist++)
            {
                sums[artist] += values[at + artist];
                largest = Math.Max(largest, values[at + artist]);
            }
            certainty += largest;
        }
    }
    return (sums.Select(sum => sum / rows).ToArray(), certainty / rows);
}

sealed class Card(JsonElement card)
{
    public readonly bool IsLstm = card.GetProperty("graph").GetString() == "sequence";
    public readonly int SampleRate = card.GetProperty("sample_rate").GetInt32();
    public readonly int Segment = card.GetProperty("segment_samples").GetInt32();
    public readonly int Hop = card.GetProperty("hop_samples").GetInt32();
    public readonly int Window = card.GetProperty("window_segments").GetInt32();
    public readonly int Most = (int)(card.GetProperty("max_seconds_per_call").GetDouble() * card.GetProperty("sample_rate").GetInt32());
    public readonly string[] Classes = card.GetProperty("classes").EnumerateArray().Select(name => name.GetString() ?? "").ToArray();
}
