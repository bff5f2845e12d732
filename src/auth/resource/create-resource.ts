import { createResource as row } from '../../api/operations/resource.ts';
import { implementing } from '../implementing.ts';
import { writeDocument } from './write-document.ts';

/** @throws CodedError `already_exists`, `bad_request`, `access_denied` */
export const createResource = implementing(row, (deps, call, input) =>
  writeDocument(deps, call, 'create', input),
);
