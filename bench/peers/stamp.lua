-- HAProxy's action of haproxy-lua.cfg: it sets one header of the answer.
core.register_action("stamp", { "http-res" }, function(transaction)
  transaction.http:res_set_header("x-bench", "script")
end)
