// docs/asyncapi.json and what it says of frames.

import { readFileSync } from 'node:fs';

import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';

/** The parts of the document that tests look at. */
export interface Document {
  readonly channels: Record<string, unknown>;
  readonly components: {
    readonly messages: Record<string, Message>;
    readonly schemas: Record<string, Record<string, unknown>>;
  };
}

export interface Message {
  readonly payload: { readonly $ref: string };
  readonly examples: readonly { readonly payload: Record<string, unknown> }[];
}

export const document = JSON.parse(
  readFileSync(new URL('../../../../../docs/asyncapi.json', import.meta.url), 'utf8'),
) as Document;

const ajv = new Ajv({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema({ components: document.components }, 'asyncapi');

/** Judges values by a schema of the document. */
export function schema(name: string): ValidateFunction {
  return ajv.compile({ $ref: `asyncapi#/components/schemas/${name}` });
}

const judges = { ClientFrame: schema('ClientFrame'), ServerFrame: schema('ServerFrame') };

/** What is wrong with a frame; empty: nothing. */
export function faults(kind: keyof typeof judges, frame: unknown): string {
  const judge = judges[kind];
  return judge(frame) ? '' : `${JSON.stringify(frame)}: ${ajv.errorsText(judge.errors)}`;
}
