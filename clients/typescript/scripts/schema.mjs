// Makes src/schema.ts from the schemas of docs/asyncapi.json. `--check`: is it in step?
//
// Only what that document uses is understood; anything else is an error, never a guess.

import { readFileSync, writeFileSync } from 'node:fs';

const DOCUMENT = new URL('../../../docs/asyncapi.json', import.meta.url);
const TYPES = new URL('../src/schema.ts', import.meta.url);
const WIDTH = 100;

/** The text of src/schema.ts. */
export function types(document) {
  const { schemas } = document.components;
  const head = [
    '// Made from docs/asyncapi.json by scripts/schema.mjs; `npm run schema` makes it anew.',
    '// Frames and bodies of the session `ibora.v1`. Whoever edits this file edits the wrong one.',
  ];
  return `${[...head, ...Object.entries(schemas).map(declaration)].join('\n')}\n`;
}

function declaration([name, schema]) {
  const text = comment(schema.description, '');
  if (schema.properties && Object.keys(schema.properties).length > 0) {
    return `\n${text}export interface ${name} ${object(schema, '')}`;
  }
  return `\n${text}export type ${name} =${alternatives(schema)};`;
}

/** A type in one line or, where that is too long, an alternative a line. */
function alternatives(schema) {
  const line = ` ${type(schema, '')}`;
  const rows = schema.oneOf ?? schema.anyOf ?? schema.enum?.map((value) => ({ const: value }));
  if (!rows || line.length < WIDTH - 30) return line;
  return rows.map((row) => `\n  | ${type(row, '  ')}`).join('');
}

function object(schema, indent) {
  const inner = `${indent}  `;
  const rows = Object.entries(schema.properties).map(([name, value]) => {
    const key = /^[A-Za-z_]\w*$/.test(name) ? name : `'${name}'`;
    const optional = schema.required?.includes(name) ? '' : '?';
    return `${comment(value.description, inner)}${inner}${key}${optional}: ${type(value, inner)};`;
  });
  return `{\n${rows.join('\n')}\n${indent}}`;
}

function type(schema, indent) {
  if (schema.$ref) return schema.$ref.split('/').at(-1);
  if ('const' in schema) return literal(schema.const);
  if (schema.enum) return schema.enum.map(literal).join(' | ');
  const rows = schema.oneOf ?? schema.anyOf;
  if (rows) return rows.map((row) => type(row, indent)).join(' | ');
  if (Array.isArray(schema.type)) return schema.type.map((one) => plain(one, schema)).join(' | ');
  if (schema.type === 'array') {
    const item = type(schema.items, indent);
    return /^\w+$/.test(item) ? `${item}[]` : `(${item})[]`;
  }
  if (schema.type === 'object') {
    const named = Object.keys(schema.properties ?? {}).length > 0;
    return named ? object(schema, indent) : 'Record<string, never>';
  }
  return plain(schema.type, schema);
}

function plain(name, schema) {
  if (name === 'integer') return 'number';
  if (['string', 'number', 'boolean', 'null'].includes(name)) return name;
  throw new Error(`not understood: ${JSON.stringify(schema)}`);
}

const literal = (value) => (typeof value === 'string' ? `'${value}'` : String(value));

function comment(text, indent) {
  if (!text) return '';
  const whole = `${indent}/** ${text} */`;
  if (whole.length <= WIDTH) return `${whole}\n`;
  const lines = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    const fits = last !== undefined && indent.length + 4 + last.length + word.length <= WIDTH;
    if (!fits) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`).join('\n')}\n${indent} */\n`;
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const made = types(JSON.parse(readFileSync(DOCUMENT, 'utf8')));
  if (!process.argv.includes('--check')) writeFileSync(TYPES, made);
  else if (readFileSync(TYPES, 'utf8') !== made) {
    console.error('src/schema.ts is not what docs/asyncapi.json says: npm run schema');
    process.exit(1);
  }
}
