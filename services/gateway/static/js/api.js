// Questions to the gateway. A refusal becomes an Error whose message a person can act on.

import { t } from "./texts.js";

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error(t("the station's page server does not answer"));
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error([body.message ?? `status ${response.status}`, body.remedy].filter(Boolean).join("; "));
  return { status: response.status, body };
}

export const get = async (path) => (await request(path)).body;
