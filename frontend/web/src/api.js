// Talks to the server; every error is an Error with the status and the server's own sentence.

export class ApiError extends Error {
  constructor(status, problem, retryAfterMs) {
    super(problem?.detail || (status ? `The server answered ${status}` : "The server cannot be reached"));
    this.status = status;
    this.problem = problem ?? {};
    this.retryAfterMs = retryAfterMs;
  }
}

export async function call(method, path, body, options = {}) {
  let response;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      ...options,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0);
  }
  const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
  const content = isJson ? await response.json().catch(() => null) : null;
  if (response.ok) return content;
  throw new ApiError(response.status, content, Number(response.headers.get("Retry-After")) * 1000 || undefined);
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body) => call("POST", path, body);
