/**
 * The YAML library behind a file of ours, so that it can be loaded when it is needed: imported by its package
 * name, a bundled CommonJS package shows only a default.
 */
export { parse, stringify } from 'yaml';
