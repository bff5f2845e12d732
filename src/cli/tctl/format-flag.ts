import type { FlagSpec } from '../args.ts';

/** Of commands that print tables. */
export const formatFlag: FlagSpec = {
  name: 'format',
  kind: 'value',
  choices: ['text', 'json'],
  default: 'text',
  help: 'How to print: text or json.',
};

/** Of those whose output people keep in files. */
export const formatWithYaml: FlagSpec = {
  ...formatFlag,
  choices: ['text', 'json', 'yaml'],
  help: 'How to print: text, json or yaml.',
};
