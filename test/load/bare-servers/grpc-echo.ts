import * as grpc from '@grpc/grpc-js';
import { encodeResponse, INFER_PATH, rawInput } from '../client/infer-message.ts';

/** A bare grpc-js unary server: ModelInfer in, a ModelInfer response with the first four bytes of the input out. */
const identity = (bytes: Buffer): Buffer => bytes;
const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
server.addService(
  {
    infer: {
      path: INFER_PATH,
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  {
    infer: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) =>
      callback(null, encodeResponse(rawInput(call.request).subarray(0, 4))),
  },
);
server.bindAsync(`127.0.0.1:${process.env['GRPC_PORT']}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log('ready');
});
