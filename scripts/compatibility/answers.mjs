// Runs one job (cases.py) with an onnxruntime of JavaScript's: the same code in Node and in a browser.

/** `read` gives the bytes of a file as a Uint8Array. */
export async function answers(ort, job, read) {
  const session = await ort.InferenceSession.create(await read(job.model), { executionProviders: job.providers });
  let before = {};
  const found = [];
  for (const call of job.calls) {
    const feeds = {};
    for (const [name, { dims, file }] of Object.entries(call.feeds)) {
      const bytes = await read(file);
      feeds[name] = new ort.Tensor('float32', new Float32Array(bytes.slice().buffer), dims);
    }
    for (const [name, output] of Object.entries(call.carry)) feeds[name] = before[output];
    before = await session.run(feeds);
    const { dims, data } = before.probabilities;
    found.push({ dims: [...dims], data: Array.from(data) });
  }
  await session.release();
  return { answers: found };
}

/** The same; a failure becomes the reason. */
export async function answersOrReason(ort, job, read) {
  try {
    return await answers(ort, job, read);
  } catch (error) {
    return { error: String(error?.message ?? error).trim().split('\n')[0] };
  }
}
