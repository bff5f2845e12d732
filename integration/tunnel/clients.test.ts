import { describeClients } from './client-suite.ts';

describeClients('a tunnel');
